/**
 * A client of MQTT 5 on the mock HAL, with all below it. An input is three bytes of options and a script: what the
 * application calls, in callbacks too, what the network does, and what the broker sends: packets that are right, such
 * with a byte changed, and any bytes. What the client writes has to be a sequence of packets that a broker takes; the
 * worst that may come of anything is a connection that ends.
 */
import hal from "../../../hal/node.js";
import type { MockSocket } from "../../../hal/mock.js";
import { MockHal } from "../../../hal/mock.js";
import type { GivenProperties, MqttClient5 } from "../../../src/v5/face.js";
import { createMqtt5 } from "../../../src/v5/face.js";
import type { DecoderHandler5 } from "../../../src/v5/decoder.js";
import { Decoder5 } from "../../../src/v5/decoder.js";
import { Properties } from "../../../src/v5/properties.js";
import type { ServerDecoderHandler5 } from "../../../src/v5/server-codec.js";
import { ServerDecoder5 } from "../../../src/v5/server-codec.js";
import { RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM } from "../../../src/v5/wire.js";
import { CONNACK, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBACK, UNSUBACK } from "../../../src/wire.js";
import { vectorsFrom5 } from "../../vectors/packets5.js";
import { ack, check } from "../broker.js";

// What a byte of the script means, by its low four bits; the others are an argument, and bytes may follow.
const CONNECT = 0;
const CLOSE = 1;
const PUBLISH = 2;
const SUBSCRIBE = 3;
const UNSUBSCRIBE = 4;
/** The socket comes up. */
const UP = 5;
const ACCEPT = 6;
/** What a broker that keeps the rules sends next. */
const ANSWER = 7;
const SEND_MESSAGE = 8;
const SEND_ACK = 9;
/** A packet of the vectors. */
const SEND_VECTOR = 10;
/** The same with a byte changed. */
const SEND_MUTATED = 11;
const SEND_BYTES = 12;
const WAIT = 13;
const FAIL = 14;
/** The next callback calls something. */
const PLAN = 15;

const WAITS_MS = [0, 1, 10, 100, 999, 1000, 2000, 5000, 9000, 10000, 20000, 30000, 60000, 300000, 1000, 1000];
const TOPICS = ["t", "a/b", "t/long/topic", "é/topic", "a/long/topic"];
/** Longer than everything that a connection waits for, one after the other. */
const LONG_MS = 1000000;
const LONGEST_SCRIPT = 150;
const OPTIONS = { txCapacity: 400, maxOperations: 5, receiveMaximum: 3, rxCapacity: 200, maxMessageLength: 150 };
const ALIASES = { topicAliases: 2, topicAliasMaximum: 3 };
const PROPERTIES: (GivenProperties | null)[] = [
  null,
  { messageExpiryInterval: 2 },
  { contentType: "text", correlationData: new Uint8Array([0, 255]), userProperty: [["a", "b"], ["", ""]] },
  { payloadFormatIndicator: true, responseTopic: "r/t", messageExpiryInterval: 100 },
];
const VECTORS = vectorsFrom5("server").map(({ bytes }) => bytes).filter((bytes) => bytes.length < 300);

export function run(input: Uint8Array): void {
  new Bench(input).run();
}

export function seeds(): Uint8Array[] {
  const up = [CONNECT, UP, ACCEPT];
  const answer = ANSWER | 0xf0;
  const publishes = [PUBLISH, 2, PUBLISH | 0x10, 7, PUBLISH | 0x20, 12, PUBLISH | 0x90, 3, PUBLISH | 0xe0, 9];
  const messages = [SEND_MESSAGE, 1, SEND_MESSAGE | 0x10, 2, SEND_MESSAGE | 0x20, 3, SEND_MESSAGE | 0x80, 1];
  const scripts = [
    [0, 0, 50, ...up, ...publishes, answer, answer, CLOSE, WAIT | 0x90],
    [1, 0, 50, ...up, ...publishes, FAIL, ...up, answer, ACCEPT | 0x10, answer, answer, CLOSE],
    [3, 9, 9, CONNECT, UP, ACCEPT | 0x70, ...publishes, answer, ...publishes, WAIT | 0x60, answer, CLOSE | 0x40],
    [1, 2, 20, ...up, ...messages, SEND_ACK | 0x20, 2, ...messages, FAIL, CONNECT, UP, ACCEPT | 0x10, ...messages],
    [0, 1, 50, ...up, SUBSCRIBE | 0x20, SUBSCRIBE | 0x70, UNSUBSCRIBE, answer, answer, CLOSE],
    [0, 1, 50, ...up, WAIT | 0xc0, answer, WAIT | 0xc0],
    [0, 1, 50, ...up, PLAN, CLOSE, SEND_MESSAGE, 4, PLAN, CONNECT, WAIT],
  ];
  VECTORS.forEach((bytes, i) => {
    scripts.push([0, 0, 50, ...bytes[0] >> 4 === 2 ? up.slice(0, 2) : up, ...publishes, SEND_VECTOR, i, WAIT | 0x60]);
    scripts.push([1, 0, 50, ...up, SUBSCRIBE, SEND_MUTATED, i, 2, 1, ...messages, CLOSE]);
  });
  return scripts.map((script) => Uint8Array.from(script));
}

/** Reads what the broker sends, as far as it can be read. */
class Said implements DecoderHandler5 {
  isAccepted = false;
  receiveMaximum = 65535;
  topicAliasMaximum = 0;
  /** Where nothing more can be understood. */
  error = 0;
  readonly acks: [type: number, packetId: number, isLast: boolean][] = [];
  private readonly decoder = new Decoder5(this, new Uint8Array(4096), new Properties(hal.createText()));

  read(bytes: Uint8Array): void {
    if (this.error !== 0) return;
    const end = this.decoder.push(bytes, 0, bytes.length);
    if (end < 0) this.error = end;
  }

  onConnack(_sessionPresent: boolean, reasonCode: number): void {
    if (reasonCode !== 0 || this.isAccepted) return;
    this.isAccepted = true;
    this.receiveMaximum = this.decoder.said.number(RECEIVE_MAXIMUM, 65535);
    this.topicAliasMaximum = this.decoder.said.number(TOPIC_ALIAS_MAXIMUM, 0);
  }

  onAck(type: number, packetId: number): void {
    this.acks.push([type, packetId, type !== PUBREC || this.decoder.code > 127]);
  }

  // Anything is right.
  onPublish(): void {}
  onPayload(): void {}
  onWhole(): void {}
  onSuback(): void {}
  onUnsuback(): void {}
  onPingresp(): void {}
  onDisconnect(): void {}
  onAuth(): void {}
}

/** The broker's end of one socket: throws when the client writes no valid sequence of packets. */
class Broker implements ServerDecoderHandler5 {
  readonly socket: MockSocket;
  readonly said = new Said();
  readonly answers: number[][] = [];
  isConnected = false;
  isEnding = false;
  private readonly decoder = new ServerDecoder5(this, new Uint8Array(4096), new Properties(hal.createText()));
  private heard = 0;
  private filters = 0;
  private hasConnect = false;
  private hasDisconnect = false;
  /** Messages that are not acknowledged: packet ids. */
  private readonly open = new Set<number>();
  private readonly aliases = new Set<number>();

  constructor(socket: MockSocket) {
    this.socket = socket;
  }

  hear(): void {
    if (this.socket.writes === this.heard) return;
    this.heard = this.socket.writes;
    const bytes = this.socket.takeSent();
    const end = this.decoder.push(bytes, 0, bytes.length);
    check(end === bytes.length, `the client wrote what a decoder refuses with ${end}`);
    if (this.hasDisconnect) check(!this.decoder.isMidPacket(), "the client wrote something behind DISCONNECT");
  }

  send(bytes: ArrayLike<number>): void {
    if (!this.isConnected || this.isEnding || this.socket.closed || this.socket.over) return;
    this.said.read(Uint8Array.from(bytes));
    for (const [, packetId, isLast] of this.said.acks.splice(0)) if (isLast) this.open.delete(packetId);
    this.socket.receive(bytes);
  }

  onWillProperties(): void {}

  onConnectField(): void {}

  onConnect(): void {
    check(!this.hasConnect, "a second CONNECT");
    this.hasConnect = true;
  }

  onUnsupportedLevel(level: number): void {
    check(false, `CONNECT of level ${level}`);
  }

  onPublish(flags: number, packetId: number, _bytes: Uint8Array, topicStart: number, topicEnd: number): void {
    this.operation();
    const alias = this.decoder.said.alias;
    const { topicAliasMaximum, receiveMaximum } = this.said;
    check(alias <= topicAliasMaximum, `topic alias ${alias} of ${topicAliasMaximum}`);
    check(topicStart < topicEnd || this.aliases.has(alias), `topic alias ${alias}, which was not set`);
    if (alias > 0) this.aliases.add(alias);
    if (packetId === 0) return;
    check(!this.open.has(packetId), `packet id ${packetId} is in use`);
    this.open.add(packetId);
    check(this.open.size <= receiveMaximum, `${this.open.size} messages of ${receiveMaximum}`);
    this.answers.push(ack((flags & 6) === 2 ? PUBACK : PUBREC, packetId));
  }

  onPayload(): void {}

  onAck(type: number, packetId: number): void {
    this.operation();
    if (type === PUBREL) this.answers.push(ack(PUBCOMP, packetId));
    else if (type === PUBREC) this.answers.push(ack(PUBREL, packetId));
  }

  onTopicFilter(): void {
    this.filters++;
  }

  onSubscribe(packetId: number): void {
    this.codes(SUBACK, packetId);
  }

  onUnsubscribe(packetId: number): void {
    this.codes(UNSUBACK, packetId);
  }

  onPingreq(): void {
    this.operation();
    this.answers.push([PINGRESP << 4, 0]);
  }

  onDisconnect(): void {
    check(this.hasConnect && !this.hasDisconnect, "DISCONNECT out of turn");
    this.hasDisconnect = true;
  }

  onAuth(): void {
    check(false, "AUTH, which nothing calls for");
  }

  private codes(type: number, packetId: number): void {
    this.operation();
    this.answers.push([type << 4, 3 + this.filters, packetId >> 8, packetId & 255, 0, ...Array(this.filters).fill(0)]);
    this.filters = 0;
  }

  private operation(): void {
    check(this.hasConnect, "a packet before CONNECT");
    check(this.said.isAccepted, "a packet before CONNACK");
    check(!this.hasDisconnect, "a packet behind DISCONNECT");
  }
}

/** With a length of properties, which are none. */
function connack(sessionPresent: boolean, properties: number[]): number[] {
  return [CONNACK << 4, 3 + properties.length, sessionPresent ? 1 : 0, 0, properties.length, ...properties];
}

class Bench {
  private readonly input: Uint8Array;
  private at = 0;
  private readonly hal: MockHal;
  private readonly client: MqttClient5;
  private readonly brokers: Broker[] = [];
  private readonly plans: number[] = [];
  private isCalling = false;
  private isInCallback = false;

  constructor(input: Uint8Array) {
    this.input = input;
    const [flags, keepalive, room] = [this.byte(), this.byte(), this.byte()];
    this.hal = new MockHal({
      now: (flags & 2) === 0 ? 0 : 0x7fffff00,
      room: 20 + room,
      window: (flags & 4) === 0 ? 5840 : 7,
    });
    const { Client } = createMqtt5(this.hal, ALIASES);
    const options = { ...OPTIONS, queueOffline: (flags & 9) === 9 };
    this.client = Client("c", 1 + keepalive, "u", "p", (flags & 1) === 0 ? 1 : 0, options);
    this.client.lwt("will", "x", 1, 0, { willDelayInterval: 5 });
    const events = ["connect", "connfail", "offline", "puback", "suback", "unsuback", "disconnect"] as const;
    for (const event of events) this.client.on(event, () => this.told(undefined));
    this.client.on("properties", (_client, _type, _packetId, properties) => void properties.toObject());
    this.client.on("message", (_client, topic, data, { properties }) => {
      check(topic !== "", "a message without a topic");
      check(data === undefined || String(data).length <= OPTIONS.maxMessageLength, "a message that is too long");
      this.told(properties);
    });
  }

  run(): void {
    for (let i = 0; i < LONGEST_SCRIPT && this.at < this.input.length; i++) {
      this.act(this.byte());
      this.observe();
    }
    this.end();
  }

  private byte(): number {
    return this.at < this.input.length ? this.input[this.at++] : 0;
  }

  /** A callback. */
  private told(properties: Properties | undefined): void {
    check(!this.isCalling, "a callback inside a call");
    check(!this.isInCallback, "a callback inside a callback");
    if (properties !== undefined) void properties.toObject();
    const plan = this.plans.shift();
    if (plan === undefined) return;
    this.isInCallback = true;
    this.call(plan);
    this.isInCallback = false;
  }

  /** What the application calls: the low four bits say what. */
  private call(byte: number): void {
    const { client } = this;
    const argument = byte >> 4;
    this.isCalling = true;
    switch (byte & 15) {
      case CONNECT:
        if (client.connected) break;
        try {
          client.connect("broker", null, null, argument & 1, null, null, { sessionExpiryInterval: argument });
        } catch (error) {
          check((error as Error).message === "already connected", String(error));
        }
        break;
      case CLOSE:
        if ((argument & 8) !== 0) client.abort();
        else client.close((argument & 4) !== 0 ? 4 : 0, (argument & 2) !== 0 ? { reasonString: "bye" } : null);
        break;
      case PUBLISH: {
        const payload = "p".repeat(this.isInCallback ? 3 : this.byte());
        const qos = Math.min(argument & 3, 2) as 0 | 1 | 2;
        client.publish(TOPICS[(argument + payload.length) % 5], payload, qos, 0, null, PROPERTIES[argument >> 2]);
        break;
      }
      case SUBSCRIBE: {
        const table = { [TOPICS[argument & 3]]: { qos: 1, nl: 1, rh: 2 }, "t/#": 2 } as const;
        client.subscribe(table, null, (argument & 4) !== 0 ? { subscriptionIdentifier: 7 } : null);
        break;
      }
      case UNSUBSCRIBE:
        client.unsubscribe(TOPICS[argument & 3]);
    }
    this.isCalling = false;
  }

  private act(byte: number): void {
    const broker = this.brokers[this.brokers.length - 1] as Broker | undefined;
    const argument = byte >> 4;
    switch (byte & 15) {
      case UP:
        if (broker === undefined || broker.isConnected || broker.isEnding || broker.socket.closed) return;
        broker.isConnected = true;
        broker.socket.connect();
        return;
      case ACCEPT: {
        const limits = (argument & 4) === 0 ? [] : [0x21, 0, 1 + (argument & 3)];
        broker?.send(connack((argument & 1) !== 0, [...limits, ...((argument & 2) === 0 ? [] : [0x22, 0, argument])]));
        return;
      }
      case ANSWER:
        for (let i = 0; i <= argument && broker !== undefined && broker.answers.length > 0; i++) {
          broker.send(broker.answers.shift()!);
        }
        return;
      case SEND_MESSAGE: {
        const qos = Math.min(argument & 3, 2);
        const id = qos === 0 ? [] : [0, 1 + (this.byte() & 7)];
        const alias = this.byte() & 7;
        const topic = alias > 0 && (argument & 4) !== 0 ? "" : TOPICS[alias % 3];
        const properties = alias > 0 ? [3, 0x23, 0, alias] : [0];
        const payload = Array<number>(argument << 3).fill(120);
        const body = [0, topic.length, ...Buffer.from(topic, "latin1"), ...id, ...properties, ...payload];
        const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
        broker?.send([0x30 | (qos << 1), ...length, ...body]);
        return;
      }
      case SEND_ACK: {
        const type = [PUBACK, PUBREC, PUBREL, PUBCOMP][argument & 3];
        const code = (argument & 4) === 0 ? [] : [[0, 0x10, 0x80, 0x92][argument & 3]];
        const first = (type << 4) | (type === PUBREL ? 2 : 0);
        broker?.send([first, 2 + code.length, 0, this.byte(), ...code]);
        return;
      }
      case SEND_VECTOR:
        broker?.send(VECTORS[this.byte() % VECTORS.length]);
        return;
      case SEND_MUTATED: {
        const bytes = VECTORS[this.byte() % VECTORS.length].slice();
        bytes[this.byte() % bytes.length] = this.byte();
        broker?.send(bytes);
        return;
      }
      case SEND_BYTES:
        broker?.send(Array.from({ length: 1 + argument }, () => this.byte()));
        return;
      case WAIT:
        this.hal.advance(WAITS_MS[argument]);
        return;
      case FAIL:
        if (broker === undefined || broker.isEnding || broker.socket.closed || broker.socket.over) return;
        broker.isEnding = true;
        if (!broker.isConnected) broker.socket.fail("refused");
        else if ((argument & 1) === 0) broker.socket.end();
        else broker.socket.reset();
        return;
      case PLAN:
        this.plans.push(this.byte());
        return;
      default:
        this.call(byte);
    }
  }

  /** What must hold between any two calls. */
  private observe(): void {
    this.hal.settle();
    for (const broker of this.brokers) broker.hear();
    for (const socket of this.hal.sockets.slice(this.brokers.length)) this.brokers.push(new Broker(socket));
    const { connection } = this.client;
    const { session } = connection;
    const { outbox } = session;
    const [error] = this.hal.uncaughtErrors;
    check(error === undefined, `an uncaught error: ${String(error)}`);
    check(outbox.operations + outbox.atOnce <= OPTIONS.maxOperations, "more operations than maxOperations");
    check(outbox.arena.length === OPTIONS.txCapacity && outbox.tail <= OPTIONS.txCapacity, "the arena grew");
    check(session.control.length === 64 + 2 * OPTIONS.receiveMaximum, "the control buffer grew");
    check(session.decoder.filled + connection["_gathered"] <= OPTIONS.rxCapacity, "the receive buffer is too full");
    check(session["_received"].length === ALIASES.topicAliasMaximum, "topic names of the broker grew");
    check(session["_aliases"].buffer.length <= 256, "the short form grew");
    check(session["_extra"] === undefined || session["_extra"].length <= 200, "what is to be sent last grew");
    const open = this.hal.sockets.filter(({ closed, over }) => !closed && !over);
    check(open.length <= 1, "a socket was left open");
  }

  /** Everything comes to its end, and then nothing happens any more. */
  private end(): void {
    this.plans.length = 0;
    this.hal.advance(5000);
    this.observe();
    for (const { said, socket, isConnected } of this.brokers) {
      check(said.error === 0 || socket.closed || socket.over || !isConnected, `went on behind ${said.error}`);
    }
    this.call(CLOSE);
    this.hal.advance(LONG_MS);
    this.observe();
    this.call(CLOSE | 0x80);
    this.hal.advance(LONG_MS);
    check(!this.client.connected, "a session without an end");
    check(this.hal.nextTimerMs === undefined, "a timer is left");
    check(this.hal.sockets.every(({ closed }) => closed), "a socket is left");
  }
}
