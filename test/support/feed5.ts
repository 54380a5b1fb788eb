/** What feed.ts needs to feed decoders of MQTT 5. */
import { isUint8Array } from "node:util/types";
import hal from "../../hal/node.js";
import type { Text } from "../../hal/socket.js";
import type { DecoderHandler5 } from "../../src/v5/decoder.js";
import { Decoder5 } from "../../src/v5/decoder.js";
import { Properties } from "../../src/v5/properties.js";
import type { ServerDecoderHandler5 } from "../../src/v5/server-codec.js";
import { ServerDecoder5 } from "../../src/v5/server-codec.js";
import { PROPERTIES } from "../vectors/properties.js";
import type { Feeding, Open, Outcome } from "./feed.js";
import { Bench, Recorder, feed, text } from "./feed.js";
import type { Sender } from "./packets.js";
import { TYPES } from "./packets.js";
import type { Connect5, Packet5, Properties5 } from "./packets5.js";
import { reference5 } from "./packets5.js";

/** Decoders of MQTT 5. */
export const open5: Open = (sender, scratch) => {
  const recorder = new Recorder5(scratch);
  const properties = new Properties(guardable(hal.createText()));
  recorder.decoder = sender === "client"
    ? new ServerDecoder5(recorder, scratch, properties)
    : new Decoder5(recorder, scratch, properties);
  return { decoder: recorder.decoder, recorder };
};

/** Feeds what `sender` sends to a decoder of MQTT 5. */
export function feed5(sender: Sender, stream: Uint8Array, feeding: Feeding = {}): Outcome {
  return feed(sender, stream, { open: open5, ...feeding });
}

/** A packet as a decoder is to report it: without properties that are none, and a message with its length. */
export function received5(packet: Packet5): object {
  const { properties, will, ...fields } = packet as Packet5 & Pick<Connect5, "properties" | "will">;
  const packetLength = packet.type === "PUBLISH" && { packetLength: reference5(packet).length };
  return { ...fields, ...(will && { will: withoutNone(will) }), ...withoutNone({ properties }), ...packetLength };
}

function withoutNone<T extends { properties?: Properties5 | undefined }>({ properties, ...others }: T): object {
  return Object.keys(properties ?? {}).length === 0 ? others : { ...others, properties };
}

/** As `Bench`. */
export function bench5(sender: Sender): Bench {
  return new Bench(sender, { open: open5, scratchLength: 512 });
}

/** A conversion that takes guarded bytes, too: those are a proxy, which the platform's does not. */
function guardable(plain: Text): Text {
  const decode = (bytes: Uint8Array, start: number, end: number, fatal: boolean): string | undefined => {
    if (isUint8Array(bytes)) return plain.decode(bytes, start, end, fatal as true);
    const copy = new Uint8Array(end - start);
    for (let at = start; at < end; at++) copy[at - start] = bytes[at];
    return plain.decode(copy, 0, copy.length, fatal as true);
  };
  return { encode: plain.encode.bind(plain), decode: decode as Text["decode"] };
}

/** As `Recorder`, of either decoder of MQTT 5. */
export class Recorder5 extends Recorder implements DecoderHandler5, ServerDecoderHandler5 {
  decoder!: Decoder5 | ServerDecoder5;
  private willProperties: Properties5 | undefined;

  override onAck(type: number, packetId: number): void {
    const [name] = Object.entries(TYPES).find(([, each]) => each === type)!;
    this.add({ type: name, packetId, reasonCode: this.decoder.code });
  }

  override onConnack(sessionPresent: boolean, reasonCode: number): void {
    this.add({ type: "CONNACK", sessionPresent, reasonCode });
  }

  override onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this.add({ type: "SUBACK", packetId, reasonCodes: this.readCodes(bytes, start, end) });
  }

  onUnsuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this.add({ type: "UNSUBACK", packetId, reasonCodes: this.readCodes(bytes, start, end) });
  }

  onWillProperties(): void {
    if (this.fields.length !== 1) throw new Error("Properties of a will stand between client identifier and topic");
    this.willProperties = this.properties();
    this.called();
  }

  override onConnect(cleanStart: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void {
    const [clientId = "missing", topicName, message = "missing", username, password] = this.fields;
    const properties = this.willProperties;
    this.fields = [];
    this.willProperties = undefined;
    if ((topicName === undefined) !== (properties === undefined)) throw new Error("Half a will");
    if (topicName === undefined && (willQos !== 0 || willRetain)) throw new Error("Flags of a will without a will");
    const will = {
      topicName: topicName ?? "",
      message,
      qos: willQos,
      retain: willRetain,
      ...(properties !== undefined && Object.keys(properties).length > 0 && { properties }),
    };
    this.add({
      type: "CONNECT",
      clientId,
      cleanStart,
      keepAliveSeconds,
      ...(topicName !== undefined && { will }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    });
  }

  override onDisconnect(reasonCode = -1): void {
    this.add({ type: "DISCONNECT", reasonCode });
  }

  onAuth(reasonCode: number): void {
    this.add({ type: "AUTH", reasonCode });
  }

  /** Those that the decoder shows, but none with what has none. */
  protected override beside(): object {
    const properties = this.properties();
    return Object.keys(properties).length === 0 ? {} : { properties };
  }

  private readCodes(bytes: Uint8Array, start: number, end: number): number[] {
    return [...Buffer.from(this.read(bytes, start, end), "latin1")];
  }

  private properties(): Properties5 {
    const properties: Properties5 = {};
    this.decoder.said.forEach((id, bytes, start, end) => {
      const { name, type } = PROPERTIES.find((row) => row.id === id)!;
      const value = valueOf(type, this.read(bytes, start, end));
      if (type !== "pair" && type !== "varint") {
        if (name in properties) throw new Error(`${name} stands there twice`);
        properties[name] = value;
      } else properties[name] = [...(properties[name] as unknown[] | undefined ?? []), value];
    });
    return properties;
  }
}

/** What a window of a property says; its bytes are one character each. */
function valueOf(type: string, characters: string): unknown {
  if (type === "binary") return characters;
  if (type === "string") return text(characters);
  const bytes = Buffer.from(characters, "latin1");
  // XS has no Buffer, and its stand-in no numbers.
  const number = (start: number, end: number): number =>
    bytes.subarray(start, end).reduce((value, byte) => value * 256 + byte, 0);
  if (type === "pair") {
    const nameLength = number(0, 2);
    if (number(2 + nameLength, 4 + nameLength) !== bytes.length - nameLength - 4) throw new Error("No pair of strings");
    return [text(characters.slice(2, 2 + nameLength)), text(characters.slice(4 + nameLength))];
  }
  if (type === "varint") return bytes.reduceRight((value, byte) => value * 128 + (byte & 127), 0);
  return number(0, bytes.length);
}
