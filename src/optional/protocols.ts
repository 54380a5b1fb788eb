/**
 * Older and other ways to introduce oneself: MQTT 3.1 (protocol name MQIsdp, level 3), and the bit of the level by
 * which mosquitto and others know a bridge.
 *
 *     const mqtt = createMqtt(hal, MQTT_3_1);                  // or bridged(MQTT_3_1_1), bridged(MQTT_3_1)
 *     const client = mqtt.Client("sensor", 60, null, null, 0);
 *
 * MQTT 3.1 on the wire is 3.1.1 but for this:
 *
 * - A client identifier has 1 to 23 characters. "" throws; what is longer is sent, for the broker to refuse or not.
 * - Flags of a header that are not used may be set, as DUP of a PUBREL that is repeated: they are not looked at. Of
 *   CONNACK, the first packet, they must be 0.
 * - CONNACK does not say whether the broker has the session. The client gives up nothing then: with cleansession 0 it
 *   sends again what is not acknowledged, and knows the QoS 2 messages that it has. The application is told false, "not
 *   known to be there", so that it subscribes each time: to do so twice is harmless, not to do so is not. Where the
 *   broker has lost the session, a new QoS 2 message under the packet id of one that was left incomplete is taken for
 *   that one.
 * - A SUBACK cannot refuse. Brokers that answer 0x80 all the same are understood as in 3.1.1.
 *
 * A bridge is a client to which brokers send messages with the RETAIN flag that they were published with, and not those
 * that it has published itself.
 *
 * Costs, in memory: two functions for a client with MQTT 3.1, one for a bridge. In flash, a file of its own has encoder
 * and decoder of 3.1.1 in it.
 */
import type { Codec, ConnectFields, DecoderHandler, PacketEncoder } from "../codec.js";
import { wrong } from "../arguments.js";
import { Decoder } from "../decoder.js";
import { Encoder, headerLength, writeHeader } from "../encoder.js";
import { NO_ROOM } from "../errors.js";
import type { Session, SessionHandler } from "../session.js";
import {
  CONNACK,
  CONNECT,
  DUP,
  PUBLISH,
  PUBREL,
  QOS_1,
  QOS_2,
  RESERVED_FLAGS,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "../wire.js";

/** "MQIsdp" with its length, and the level: what CONNECT begins with. */
const NAME = [0, 6, 0x4d, 0x51, 0x49, 0x73, 0x64, 0x70, 3];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(NAME, true);
/** Bytes of "MQTT" with its length, and of the level. */
const NAME_LENGTH = 7;
/** In the level: a bridge. */
const BRIDGE = 0x80;

class OldEncoder extends Encoder {
  override connect(out: Uint8Array, offset: number, end: number, fields: ConnectFields): number {
    if (fields.clientId === "") throw wrong("clientid", "1 to 23 characters long with MQTT 3.1", "");
    const at = super.connect(out, offset, end, fields);
    if (at < 0) return at;
    const rest = bodyStart(out, offset) + NAME_LENGTH;
    const length = NAME.length + at - rest;
    const body = offset + headerLength(length);
    if (body + length > end) return NO_ROOM;
    out.copyWithin(body + NAME.length, rest, at);
    out.set(NAME, body);
    return writeHeader(out, offset, CONNECT << 4, length) + length;
  }
}

class OldDecoder extends Decoder {
  readonly session: Session;

  constructor(handler: DecoderHandler, scratch: Uint8Array) {
    super(handler, scratch);
    this.session = handler as Session;
    const listener = this.session._handler as SessionHandler | undefined;
    // A tool that only reads has none.
    if (listener === undefined) return;
    const onConnect = listener.onConnect.bind(listener);
    const connected = (): void => {
      onConnect(false);
    };
    Object.defineProperties(listener, { onConnect: { value: connected, configurable: true } });
  }

  override _begin(): void {
    this._first = withoutUnused(this._first);
    super._begin();
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    if (first >> 4 !== CONNACK) return super._packet(first, bytes, start, end);
    // The session that has something to lose takes it for kept. It is the same to a session that begins anew.
    const keeps = (this.session._handler as SessionHandler | undefined) !== undefined;
    this.session.onConnack(keeps, bytes[start + 1]);
    return 0;
  }
}

/** The first byte of a packet as 3.1.1 prescribes it. */
function withoutUnused(first: number): number {
  const type = first >> 4;
  if (type === PUBLISH) return (first & (QOS_1 | QOS_2)) === 0 ? first & ~DUP : first;
  const flags = type === PUBREL || type === SUBSCRIBE || type === UNSUBSCRIBE ? RESERVED_FLAGS : 0;
  return (type << 4) | flags;
}

/** Where the packet at `offset` has the first byte behind its header. */
function bodyStart(out: Uint8Array, offset: number): number {
  let at = offset + 1;
  while (out[at++] > 127);
  return at;
}

/** MQTT 3.1. */
export const MQTT_3_1: Codec = {
  encoder: (text) => new OldEncoder(text),
  decoder: (handler, scratch) => new OldDecoder(handler, scratch),
};

/**
 * The same version, spoken by a bridge: level 0x84 for 3.1.1, 0x83 for 3.1. Not MQTT 5, whose subscriptions have the
 * options `nl` and `rap` for that: the constructor of a client throws a TypeError.
 */
export function bridged(codec: Codec): Codec {
  return {
    encoder: (text) => asBridge(codec.encoder(text)),
    decoder: (handler, scratch) => codec.decoder(handler, scratch),
  };
}

/** Has an encoder set the bridge's bit. */
function asBridge(encoder: PacketEncoder): PacketEncoder {
  if (encoder.level === 5) throw new TypeError("bridged must not be given MQTT 5: subscribe with nl and rap");
  const connect = encoder.connect.bind(encoder);
  const connectAsBridge = (out: Uint8Array, offset: number, end: number, fields: ConnectFields): number => {
    const at = connect(out, offset, end, fields);
    if (at < 0) return at;
    const name = bodyStart(out, offset);
    out[name + 2 + ((out[name] << 8) | out[name + 1])] |= BRIDGE;
    return at;
  };
  return Object.defineProperties(encoder, { connect: { value: connectAsBridge, configurable: true } });
}
