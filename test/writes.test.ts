/** How often a client writes to the network in Node: once in a turn, whatever was published or acknowledged in it. */
import { Socket, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import mqtt from "mcu-mqtt";
import type { Client, QoS } from "mcu-mqtt";
import { Encoder, PUBACK, PUBCOMP, PUBREC, PUBREL, QOS_2, ServerDecoder, ServerEncoder } from "mcu-mqtt/core";
import type { ServerDecoderHandler } from "mcu-mqtt/core";
import hal from "mcu-mqtt/hal/node";

const MESSAGES = 20;
const payload = new Uint8Array(64);

/** A broker that answers each chunk in one write, so that answers come together. */
class Peer implements ServerDecoderHandler {
  readonly server: Server;
  socket: Socket | undefined;
  /** Bytes to be written when the chunk at hand is read. */
  readonly #out = new Uint8Array(65536);
  #end = 0;
  readonly #encoder = new ServerEncoder(hal.createText());
  readonly #messages = new Encoder(hal.createText());

  constructor() {
    const decoder = new ServerDecoder(this, new Uint8Array(1024));
    this.server = createServer((socket) => {
      this.socket = socket;
      socket.on("data", (chunk: Buffer) => {
        decoder.push(chunk, 0, chunk.length);
        this.flush();
      });
    });
  }

  /** Messages that leave in one write. */
  send(qos: QoS): void {
    for (let packetId = 1; packetId <= MESSAGES; packetId++) {
      const id = qos === 0 ? 0 : packetId;
      this.#end = this.#messages.publish(this.#out, this.#end, this.#out.length, qos << 1, id, "from/broker", payload);
    }
    this.flush();
  }

  flush(): void {
    if (this.#end > 0) this.socket?.write(this.#out.slice(0, this.#end));
    this.#end = 0;
  }

  #answer(type: number, packetId: number): void {
    this.#end = this.#messages.short(this.#out, this.#end, this.#out.length, type, packetId);
  }

  onConnect(): void {
    this.#end = this.#encoder.connack(this.#out, this.#end, this.#out.length, false, 0);
  }

  onPublish(flags: number, packetId: number): void {
    if (packetId > 0) this.#answer((flags & QOS_2) > 0 ? PUBREC : PUBACK, packetId);
  }

  onAck(type: number, packetId: number): void {
    if (type === PUBREC) this.#answer(PUBREL, packetId);
    if (type === PUBREL) this.#answer(PUBCOMP, packetId);
  }

  onPayload(): void {}
  onConnectField(): void {}
  onUnsupportedLevel(): void {}
  onTopicFilter(): void {}
  onSubscribe(): void {}
  onUnsubscribe(): void {}
  onPingreq(): void {}
  onDisconnect(): void {}
}

describe("Writes to the network", () => {
  let peer: Peer;
  let client: Client;
  let writes: number;

  beforeEach(async () => {
    peer = new Peer();
    await new Promise<void>((fulfil) => peer.server.listen(0, "127.0.0.1", fulfil));
    client = mqtt.Client("writer", 60, null, null, 1, { format: "buffer", maxInflight: MESSAGES });
    const { port } = peer.server.address() as AddressInfo;
    await new Promise<void>((fulfil) => client.connect("127.0.0.1", port, () => fulfil()));
    writes = 0;
    const write = Socket.prototype.write as (this: Socket, ...args: unknown[]) => boolean;
    jest.spyOn(Socket.prototype, "write").mockImplementation(function (this: Socket, ...args: unknown[]) {
      if (this !== peer.socket) writes++;
      return write.apply(this, args);
    });
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    await new Promise<void>((fulfil) => {
      client.on("offline", () => fulfil());
      client.close();
    });
    await new Promise<unknown>((fulfil) => peer.server.close(fulfil));
  });

  /** Publishes `count` messages, `window` of them unacknowledged, the next ones when earlier ones are done. */
  const publish = (qos: QoS, count: number, window: number): Promise<void> =>
    new Promise((fulfil) => {
      let begun = 0;
      let done = 0;
      const one = (): void => {
        if (begun < count && client.publish("to/broker", payload, qos)) begun++;
      };
      client.on("puback", () => {
        done++;
        if (done === count) fulfil();
        else one();
      });
      for (let i = 0; i < window; i++) one();
    });

  /** Lets all that the broker has to say, and the answers to it, pass. */
  const receive = async (qos: QoS): Promise<void> => {
    let missing = MESSAGES;
    await new Promise<void>((fulfil) => {
      client.on("message", () => {
        if (--missing === 0) fulfil();
      });
      peer.send(qos);
    });
    await new Promise<void>((fulfil) => client.drain(() => fulfil()));
  };

  it.each<[QoS, number]>([
    [0, 1],
    [1, 1],
    [2, 2],
  ])("are one for all messages of a turn, and one for their PUBRELs: at QoS %d %d", async (qos, expected) => {
    await publish(qos, MESSAGES, MESSAGES);
    expect(writes).toBe(expected);
  });

  it.each<[QoS, number]>([
    [1, 5],
    [2, 10],
  ])("are one for a window of messages that follow acknowledged ones: at QoS %d %d for five windows", async (
    qos,
    expected,
  ) => {
    await publish(qos, 5 * MESSAGES, MESSAGES);
    expect(writes).toBe(expected);
  });

  it.each<[QoS, number]>([
    [0, 0],
    [1, 1],
    [2, 2],
  ])("are one for the acknowledgements of a chunk of messages: at QoS %d %d", async (qos, expected) => {
    await receive(qos);
    expect(writes).toBe(expected);
  });
});
