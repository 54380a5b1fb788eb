/** As device.ts, with MQTT 5: a client on a mock platform, and the broker at the other end of its sockets. */
import type { MockHal, MockSocket } from "../../hal/mock.js";
import type { Text } from "../../hal/socket.js";
import { NO_ROOM } from "../../src/errors.js";
import { CLIENT_ID, PASSWORD, USERNAME, WILL_MESSAGE, WILL_TOPIC } from "../../src/server-codec.js";
import type { GivenProperties, MessageInfo5, Mqtt5, MqttClient5, Settings5 } from "../../src/v5/face.js";
import { createMqtt5 } from "../../src/v5/face.js";
import { Properties } from "../../src/v5/properties.js";
import type { ServerDecoderHandler5 } from "../../src/v5/server-codec.js";
import { ServerDecoder5, ServerEncoder5 } from "../../src/v5/server-codec.js";
import { hex } from "./bytes.js";
import type { DeviceOptions } from "./device.js";
import { AnyBroker, AnyDevice, EVENTS, binary, describeCallback, text } from "./device.js";
import { TYPES } from "./packets.js";
import type { Ack5, Packet5, Properties5, Publish5 } from "./packets5.js";
import { write5 } from "./packets5.js";

/** What CONNECT says of a device that is made without options, beside what a test has it say. */
export const CAPACITIES = "maximumPacketSize=1024 receiveMaximum=16 topicAliasMaximum=8";

/** As `DeviceOptions`; `settings` are those of `createMqtt5`. */
export interface DeviceOptions5 extends DeviceOptions<MqttClient5> {
  settings?: Partial<Settings5>;
}

/** One client of MQTT 5 and its surroundings. Not watched by itself: `data` and `properties`. */
export class Device5 extends AnyDevice<Mqtt5, MqttClient5, Packet5> {
  constructor(options: DeviceOptions5 = {}) {
    super(options, [...EVENTS, "disconnect"], (hal) => createMqtt5(hal, options.settings));
  }

  protected override createBroker(socket: MockSocket, capacity: number): Broker5 {
    return new Broker5(this.hal, socket, this.violations, capacity);
  }

  protected override accepting(isPresent: boolean): Packet5 {
    return connack({}, { isPresent });
  }

  protected override describe(name: string, values: unknown[]): string {
    return describeCallback5(name, values);
  }

  /** A session with a broker that says this in CONNACK. */
  upWith(properties: Properties5, isPresent = false): this {
    if (!this.client.connect("broker")) throw new Error("connect: no socket");
    this.acceptWith(properties, isPresent);
    return this;
  }

  /** The attempt that is under way is accepted with these properties; what was sent and called is taken. */
  acceptWith(properties: Properties5, isPresent = false): void {
    this.hal.settle();
    this.reach();
    this.send(connack(properties, { isPresent }));
    this.take();
    this.broker.take();
  }

  /** An attempt to connect: what CONNECT says, as a line. */
  connectLine(properties?: GivenProperties): string {
    this.client.connect("broker", null, null, null, null, null, properties);
    this.hal.settle();
    this.socket.connect();
    return this.sent().join();
  }

  /** The connection is lost; what that brought about is returned. */
  lose(): string[] {
    this.socket.fail("closed");
    return this.take();
  }

  /** The broker of the last socket sends bytes. */
  sendBytes(bytes: Uint8Array): void {
    this.socket.receive(bytes);
  }

  /** As `listen`, also to what only this version has. */
  record(name: "data" | "properties"): void {
    this.client.on(name, this.recorder(name));
  }
}

/** As `describeCallback`. Reason codes are hexadecimal. */
export function describeCallback5(name: string, values: unknown[]): string {
  switch (name) {
    case "connect":
      return describeCallback(name, values) + listed((values[1] as Properties).toObject());
    case "connfail": {
      const [reason, detail] = values as [number, object | undefined];
      return `${name} ${reason > 0 ? code(reason) : reason}` + (reason > 0 && detail ? listed(detail) : "");
    }
    case "message":
    case "overflow":
      return describeCallback(name, values) + listed((values[2] as MessageInfo5).properties.toObject());
    case "data": {
      const [topic, bytes, offset, total, info] = values as [string, Uint8Array, number, number, MessageInfo5];
      return `${name} ${topic} ${offset}+${bytes.length}/${total}` + listed(info.properties.toObject());
    }
    case "puback":
    case "suback":
    case "unsuback":
      return [name, ...Array.from((values[0] ?? []) as Uint8Array, code)].join(" ");
    case "disconnect":
      return `${name} ${code(values[0] as number)}` + listed((values[1] as Properties).toObject());
    case "properties": {
      const [type, packetId, properties] = values as [number, number, Properties];
      const [packet] = Object.entries(TYPES).find(([, each]) => each === type) ?? ["AUTH"];
      return `${name} ${packet}${packetId === 0 ? "" : ` #${packetId}`}` + listed(properties.toObject());
    }
    default:
      return describeCallback(name, values);
  }
}

function code(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

/** Properties behind a packet: ` {contentType=text userProperty=a:b}`, or nothing. */
function listed(properties: object | undefined): string {
  const parts = Object.entries(properties ?? {}).map(([name, value]) => `${name}=${valueOf(value)}`);
  return parts.length === 0 ? "" : ` {${parts.join(" ")}}`;
}

function valueOf(value: unknown): string {
  if (value instanceof Uint8Array) return hex(value);
  if (!Array.isArray(value)) return String(value);
  return value.map((each: unknown) => (Array.isArray(each) ? each.join(":") : String(each))).join(",");
}

/** The broker's end of a socket, MQTT 5. */
export class Broker5 extends AnyBroker<Packet5> {
  /** What it says in CONNACK when it answers. */
  properties: Properties5 = {};
  private readonly text: Text;
  private readonly encoder: ServerEncoder5;

  constructor(hal: MockHal, socket: MockSocket, violations: string[], capacity: number) {
    const text = hal.createText();
    super(socket, violations, (packets) => new PacketReader5(packets, text, capacity).decoder);
    this.text = text;
    this.encoder = new ServerEncoder5(text);
  }

  protected override describe(packet: Packet5): string {
    return describePacket5(packet);
  }

  protected override encode(packet: Packet5): Uint8Array {
    for (let capacity = 1024; ; capacity *= 16) {
      const out = new Uint8Array(capacity);
      const end = write5(this.text, this.encoder, packet, out, 0, capacity);
      if (end !== NO_ROOM) return out.slice(0, end);
    }
  }

  protected override answerTo(packet: Packet5): Packet5 | undefined {
    switch (packet.type) {
      case "CONNECT":
        return connack(this.properties, { isPresent: this.isPresent });
      case "PUBLISH":
        return packet.qos === 0 ? undefined : ack(packet.qos === 1 ? "PUBACK" : "PUBREC", packet.packetId);
      case "PUBREC":
        return packet.reasonCode < 128 ? ack("PUBREL", packet.packetId) : undefined;
      case "PUBREL":
        return ack("PUBCOMP", packet.packetId);
      case "SUBSCRIBE":
        return suback(packet.packetId, packet.filters.map(([, options]) => options & 3));
      case "UNSUBSCRIBE":
        return unsuback(packet.packetId, packet.filters.map(() => 0));
      case "PINGREQ":
        return PINGRESP;
      default:
        return undefined;
    }
  }
}

/** A packet of a client as one line: `PUBLISH t=hello q1 #7 dup retain {contentType=text}`. */
export function describePacket5(packet: Packet5): string {
  const properties = listed("properties" in packet ? packet.properties : undefined);
  switch (packet.type) {
    case "CONNECT": {
      const { will } = packet;
      return `CONNECT "${packet.clientId}" ${packet.cleanStart ? "clean" : "resume"} ${packet.keepAliveSeconds}` +
        (will === undefined ? "" : ` will ${will.topicName}=${will.message} q${will.qos}` +
          (will.retain ? " retain" : "") + listed(will.properties)) +
        (packet.username === undefined ? "" : ` user ${packet.username}`) +
        (packet.password === undefined ? "" : ` password ${packet.password}`) + properties;
    }
    case "PUBLISH":
      return `PUBLISH ${packet.topicName ?? ""}=${packet.payload}` +
        (packet.qos === 0 ? "" : ` q${packet.qos} #${packet.packetId}`) +
        (packet.dup ? " dup" : "") + (packet.retain ? " retain" : "") + properties;
    case "SUBSCRIBE":
      return `SUBSCRIBE #${packet.packetId} ${packet.filters.map(describeFilter).join(" ")}` + properties;
    case "UNSUBSCRIBE":
      return `UNSUBSCRIBE #${packet.packetId} ${packet.filters.join(" ")}` + properties;
    default:
      return packet.type + ("packetId" in packet ? ` #${packet.packetId}` : "") +
        ("reasonCode" in packet && packet.reasonCode > 0 ? ` ${code(packet.reasonCode)}` : "") + properties;
  }
}

/** `a/#:1`, with options `a/#:1+nl+rap+rh2`. */
function describeFilter([filter, options]: [string, number]): string {
  const handling = options >> 4;
  return `${filter}:${options & 3}` + (options & 4 ? "+nl" : "") + (options & 8 ? "+rap" : "") +
    (handling > 0 ? `+rh${handling}` : "");
}

export function connack(
  properties: Properties5 = {},
  { code: reasonCode = 0, isPresent = false }: { code?: number; isPresent?: boolean } = {},
): Packet5 {
  return { type: "CONNACK", sessionPresent: isPresent, reasonCode, properties };
}

/** As short as can be when there are no properties. */
export function ack(type: Ack5["type"], packetId: number, reasonCode = 0, properties?: Properties5): Packet5 {
  return { type, packetId, reasonCode, ...(properties && { properties }) };
}

export function suback(packetId: number, reasonCodes: number[], properties: Properties5 = {}): Packet5 {
  return { type: "SUBACK", packetId, reasonCodes, properties };
}

export function unsuback(packetId: number, reasonCodes: number[], properties: Properties5 = {}): Packet5 {
  return { type: "UNSUBACK", packetId, reasonCodes, properties };
}

export function disconnect(reasonCode: number, properties?: Properties5): Packet5 {
  return { type: "DISCONNECT", reasonCode, ...(properties && { properties }) };
}

export function auth(reasonCode: number, properties: Properties5): Packet5 {
  return { type: "AUTH", reasonCode, properties };
}

export const PINGRESP: Packet5 = { type: "PINGRESP" };

/** A message from the broker; text is sent as UTF-8, and so is a topic, which may be empty when there is an alias. */
export function message(
  topicName: string,
  payload: string,
  { qos = 0, id = 0, dup = false, retain = false, ...properties }:
  { qos?: number; id?: number; dup?: boolean; retain?: boolean } & Properties5 = {},
): Packet5 {
  const characters = Buffer.from(payload, "utf8").toString("latin1");
  return { type: "PUBLISH", topicName, payload: characters, qos, packetId: id, dup, retain, properties };
}

/** Puts together what a decoder tells of the client's packets, each when it is there whole. */
class PacketReader5 implements ServerDecoderHandler5 {
  readonly decoder: ServerDecoder5;
  private readonly packets: Packet5[];
  private readonly shown: Properties;
  private fields: (string | undefined)[] = [];
  private willProperties: Properties5 = {};
  private filters: [string, number][] = [];
  private publish: Publish5 | undefined;

  constructor(packets: Packet5[], text: Text, capacity: number) {
    this.packets = packets;
    this.shown = new Properties(text);
    this.decoder = new ServerDecoder5(this, new Uint8Array(capacity), this.shown);
  }

  onPublish(flags: number, packetId: number, bytes: Uint8Array, topicStart: number, topicEnd: number): void {
    this.publish = {
      type: "PUBLISH",
      dup: (flags & 8) !== 0,
      qos: (flags >> 1) & 3,
      retain: (flags & 1) !== 0,
      packetId,
      topicName: text(bytes, topicStart, topicEnd),
      payload: "",
      properties: this.properties(),
    };
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    this.publish!.payload += binary(bytes, start, end);
    if (owed === 0) this.packets.push(this.publish!);
  }

  onAck(type: number, packetId: number): void {
    const [name] = Object.entries(TYPES).find(([, value]) => value === type)!;
    const { code: reasonCode } = this.decoder;
    this.packets.push({ type: name as Ack5["type"], packetId, reasonCode, properties: this.properties() });
  }

  onWillProperties(): void {
    this.willProperties = this.properties();
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    const isBinary = field === WILL_MESSAGE || field === PASSWORD;
    this.fields[field] = isBinary ? binary(bytes, start, end) : text(bytes, start, end);
  }

  onConnect(cleanStart: boolean, keepAliveSeconds: number, qos: number, retain: boolean): void {
    const fields = this.fields.splice(0);
    const topicName = fields[WILL_TOPIC];
    const username = fields[USERNAME];
    const password = fields[PASSWORD];
    const properties = this.willProperties;
    this.willProperties = {};
    this.packets.push({
      type: "CONNECT",
      clientId: fields[CLIENT_ID]!,
      cleanStart,
      keepAliveSeconds,
      ...(topicName !== undefined && { will: { topicName, message: fields[WILL_MESSAGE]!, qos, retain, properties } }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      properties: this.properties(),
    });
  }

  onUnsupportedLevel(): void {}

  onTopicFilter(bytes: Uint8Array, start: number, end: number, options: number): void {
    this.filters.push([text(bytes, start, end), options]);
  }

  onSubscribe(packetId: number): void {
    this.packets.push({ type: "SUBSCRIBE", packetId, filters: this.filters.splice(0), properties: this.properties() });
  }

  onUnsubscribe(packetId: number): void {
    const filters = this.filters.splice(0).map(([filter]) => filter);
    this.packets.push({ type: "UNSUBSCRIBE", packetId, filters, properties: this.properties() });
  }

  onPingreq(): void {
    this.packets.push({ type: "PINGREQ" });
  }

  onDisconnect(reasonCode: number): void {
    this.packets.push({ type: "DISCONNECT", reasonCode, properties: this.properties() });
  }

  onAuth(reasonCode: number): void {
    this.packets.push({ type: "AUTH", reasonCode, properties: this.properties() });
  }

  private properties(): Properties5 {
    return { ...this.shown.toObject() };
  }
}
