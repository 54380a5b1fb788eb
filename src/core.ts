/**
 * The codec and the session without a face or a platform, for those who build on them: another face, a broker's test
 * double, a tool that reads traffic.
 */
export type {
  Codec,
  ConnectFields,
  DecoderHandler,
  MessageHandler,
  PacketEncoder,
  StreamDecoder,
  Subscriptions,
  Will,
} from "./codec.js";
export { Decoder, Framer } from "./decoder.js";
export { Encoder } from "./encoder.js";
export * from "./errors.js";
export type { ServerDecoderHandler } from "./server-codec.js";
export {
  CLIENT_ID,
  PASSWORD,
  ServerDecoder,
  ServerEncoder,
  USERNAME,
  WILL_MESSAGE,
  WILL_TOPIC,
} from "./server-codec.js";
export type { SessionHandler, SessionOptions } from "./session.js";
export { Session } from "./session.js";
export { isTopicFilter, isTopicName } from "./topic.js";
export { isUtf8 } from "./utf8.js";
export { MQTT_3_1_1 } from "./v311.js";
export * from "./wire.js";
