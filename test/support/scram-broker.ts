/**
 * A small broker of MQTT 5 that lets in who authenticates with SCRAM, for tests: no other broker at hand does. Beside
 * that it grants subscriptions at QoS 0, to topics without wildcards, and hands on what is published at QoS 0 or 1.
 *
 * Knows packets and when they may come; messages and keys of SCRAM are ScramServer's.
 */
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import hal from "../../hal/node.js";
import { CLIENT_ID } from "../../src/server-codec.js";
import { Properties } from "../../src/v5/properties.js";
import type { ServerDecoderHandler5 } from "../../src/v5/server-codec.js";
import { ServerDecoder5, ServerEncoder5 } from "../../src/v5/server-codec.js";
import {
  BAD_AUTHENTICATION_METHOD,
  CONTINUE_AUTHENTICATION,
  MALFORMED_PACKET,
  NOT_AUTHORIZED,
  PROTOCOL_ERROR,
  RE_AUTHENTICATE,
} from "../../src/v5/wire.js";
import { PUBACK, QOS_1 } from "../../src/wire.js";
import { HOST } from "./broker.js";
import type { ScramReply, ScramServerOptions } from "./scram-server.js";
import { ScramServer } from "./scram-server.js";
import { Signal } from "./signal.js";

export class ScramBroker {
  /** What happened, one line each: `door CONNECT`, `door AUTH 0x18`, `door accepted`, `door again`, `door refused`. */
  readonly log: string[] = [];
  /** Who authenticates from now on is measured by it; another may take its place. */
  scram: ScramServer;
  readonly #server: Server;
  readonly #peers = new Set<Peer>();
  readonly #signal = new Signal();

  static async start(options: ScramServerOptions): Promise<ScramBroker> {
    const broker = new ScramBroker(options);
    await once(broker.#server.listen(0, HOST), "listening");
    return broker;
  }

  private constructor(options: ScramServerOptions) {
    this.scram = new ScramServer(options);
    this.#server = createServer({ noDelay: true }, (socket) => {
      const peer = new Peer(this, socket);
      this.#peers.add(peer);
      socket.on("close", () => this.#peers.delete(peer));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Everything is done anew with these users. */
  reset(options: ScramServerOptions): void {
    this.scram = new ScramServer(options);
    this.log.length = 0;
  }

  note(line: string): void {
    this.log.push(line);
    this.#signal.notify();
  }

  /** Resolves when the log has had this line so often. */
  logged(line: string, count = 1): Promise<void> {
    const times = (): number => this.log.filter((each) => each === line).length;
    return this.#signal.until(() => times() >= count, () => `"${line}", ${count} times, in: ${this.log.join("; ")}`);
  }

  /** Hands a message on to all who have subscribed to its topic. */
  publish(topic: string, payload: Uint8Array): void {
    for (const peer of this.#peers) peer.handOn(topic, payload);
  }

  /** Ends all connections, and listens no more. */
  async dispose(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    await once(this.#server.close(), "close");
  }
}

/** One connection. */
class Peer implements ServerDecoderHandler5 {
  readonly #broker: ScramBroker;
  readonly #socket: Socket;
  readonly #properties = new Properties(hal.createText());
  readonly #decoder = new ServerDecoder5(this, new Uint8Array(70000), this.#properties);
  readonly #encoder = new ServerEncoder5(hal.createText());
  readonly #out = new Uint8Array(140000);
  readonly #topics = new Set<string>();
  #filters: string[] = [];
  #clientId = "";
  /** Answers the client's next message; undefined: no exchange is under way. */
  #answer: ((data: Uint8Array | undefined) => ScramReply) | undefined;
  #hasConnected = false;
  #isAccepted = false;
  #message = { topic: "", packetId: 0, payload: new Uint8Array(0) };

  constructor(broker: ScramBroker, socket: Socket) {
    this.#broker = broker;
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      const result = this.#decoder.push(bytes, 0, bytes.length);
      if (result < 0) this.#end(result <= -128 ? -result : MALFORMED_PACKET);
    });
    socket.on("error", () => {}); // "close" follows
  }

  destroy(): void {
    this.#socket.destroy();
  }

  handOn(topic: string, payload: Uint8Array): void {
    if (!this.#topics.has(topic)) return;
    this.#send(this.#encoder.publish(this.#out, 0, this.#out.length, 0, 0, topic, payload));
  }

  onWillProperties(): void {}

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    if (field === CLIENT_ID) this.#clientId = textOf(bytes, start, end);
  }

  onConnect(): void {
    if (this.#hasConnected) return this.#end(PROTOCOL_ERROR);
    this.#hasConnected = true;
    this.#note("CONNECT");
    if (this.#properties.get("authenticationMethod") !== this.#broker.scram.method) {
      return this.#refuse(BAD_AUTHENTICATION_METHOD);
    }
    this.#begin();
  }

  onUnsupportedLevel(): void {
    this.destroy();
  }

  onAuth(reasonCode: number): void {
    this.#note(`AUTH 0x${reasonCode.toString(16)}`);
    const isAgain = reasonCode === RE_AUTHENTICATE;
    // Again only in a session, and not before the last time is over; else only what was asked for [MQTT-4.12.0-2].
    const isDue = isAgain ? this.#isAccepted && this.#answer === undefined : this.#answer !== undefined;
    // The method stays the same (4.12.1).
    if (!isDue || this.#properties.get("authenticationMethod") !== this.#broker.scram.method) {
      return this.#end(PROTOCOL_ERROR);
    }
    if (isAgain) this.#begin();
    else this.#go();
  }

  onTopicFilter(bytes: Uint8Array, start: number, end: number): void {
    this.#filters.push(textOf(bytes, start, end));
  }

  onSubscribe(packetId: number): void {
    if (!this.#mayCome()) return;
    for (const filter of this.#filters) this.#topics.add(filter);
    const codes = this.#filters.splice(0).map(() => 0);
    this.#send(this.#encoder.suback(this.#out, 0, this.#out.length, packetId, codes));
    this.#note("SUBSCRIBE");
  }

  onUnsubscribe(packetId: number): void {
    if (!this.#mayCome()) return;
    for (const filter of this.#filters) this.#topics.delete(filter);
    const codes = this.#filters.splice(0).map(() => 0);
    this.#send(this.#encoder.unsuback(this.#out, 0, this.#out.length, packetId, codes));
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
  ): void {
    if (!this.#mayCome()) return;
    // CONNACK has granted no aliases, and no QoS but these two are of use here.
    if (topicStart === topicEnd || flags >> 1 > 1) return this.#end(PROTOCOL_ERROR);
    const payload = new Uint8Array(payloadLength);
    this.#message = { topic: textOf(bytes, topicStart, topicEnd), packetId: flags & QOS_1 ? packetId : 0, payload };
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const { topic, packetId, payload } = this.#message;
    payload.set(bytes.subarray(start, end), payload.length - owed - (end - start));
    if (owed > 0) return;
    this.#broker.publish(topic, payload);
    if (packetId > 0) this.#send(this.#encoder.ack(this.#out, 0, 8, PUBACK, packetId));
  }

  onAck(): void {
    this.#mayCome();
  }

  onPingreq(): void {
    if (this.#mayCome()) this.#send(this.#encoder.pingresp(this.#out, 0, 8));
  }

  onDisconnect(reasonCode: number): void {
    this.#note(`DISCONNECT 0x${reasonCode.toString(16)}`);
    this.#socket.end();
  }

  /** A new exchange: for a connection, or in the session. */
  #begin(): void {
    this.#answer = this.#broker.scram.begin();
    this.#go();
  }

  /** Takes the client's message, and answers it. */
  #go(): void {
    const data = this.#properties.get("authenticationData") as Uint8Array | undefined;
    const reply = this.#answer!(data);
    const authentication = { authenticationMethod: this.#broker.scram.method, authenticationData: reply.data };
    if (reply.reasonCode !== CONTINUE_AUTHENTICATION) this.#answer = undefined;
    if (reply.reasonCode === NOT_AUTHORIZED) return this.#refuse(NOT_AUTHORIZED, reply.reasonString);
    if (reply.reasonCode === CONTINUE_AUTHENTICATION || this.#isAccepted) {
      this.#send(this.#encoder.auth(this.#out, 0, this.#out.length, reply.reasonCode, authentication));
      if (reply.reasonCode === 0) this.#note("again");
    } else {
      this.#isAccepted = true;
      this.#send(this.#encoder.connack(this.#out, 0, this.#out.length, false, 0, { ...authentication, maximumQoS: 1 }));
      this.#note("accepted");
    }
  }

  /** Says why, and ends it: with CONNACK, or in a session with DISCONNECT. */
  #refuse(reasonCode: number, reasonString?: string): void {
    this.#note("refused");
    if (this.#isAccepted) return this.#end(reasonCode, reasonString);
    this.#send(this.#encoder.connack(this.#out, 0, this.#out.length, false, reasonCode, { reasonString }));
    this.#stop();
  }

  #end(reasonCode: number, reasonString?: string): void {
    // Before CONNACK nothing but CONNACK may say it.
    if (this.#isAccepted) {
      this.#send(this.#encoder.disconnect(this.#out, 0, this.#out.length, reasonCode, { reasonString }));
    }
    this.#stop();
  }

  #stop(): void {
    this.#decoder.stop();
    this.#isAccepted = false;
    this.#topics.clear();
    this.#socket.end();
  }

  /** Ends it, and is false, when there is no session. */
  #mayCome(): boolean {
    if (!this.#isAccepted) this.#end(PROTOCOL_ERROR);
    return this.#isAccepted;
  }

  #note(what: string): void {
    this.#broker.note(`${this.#clientId} ${what}`);
  }

  #send(end: number): void {
    if (end < 0) throw new Error(`the broker cannot encode what it wants to say: ${end}`);
    if (!this.#socket.destroyed && this.#socket.writable) this.#socket.write(this.#out.slice(0, end));
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString("utf8");
}
