/**
 * The codec of MQTT 5 in both directions, without a face or a platform, for those who build on it: a broker's test
 * double, a tool that reads traffic.
 */
export type { DecoderHandler5 } from "./decoder.js";
export { Decoder5, Framer5 } from "./decoder.js";
export type { ConnectFields5 } from "./encoder.js";
export { Encoder5, encodeProperties } from "./encoder.js";
export type { GivenProperties, PropertyVisitor, ReceivedProperties, Settings5, UserProperty } from "./properties.js";
export { checkProperties, Properties, WILL, writeProperties } from "./properties.js";
export { isReason } from "./reasons.js";
export type { ServerDecoderHandler5 } from "./server-codec.js";
export { ServerDecoder5, ServerEncoder5 } from "./server-codec.js";
export type { SessionHandler5 } from "./session.js";
export { Session5 } from "./session.js";
export { MQTT_5, mqtt5 } from "./v5.js";
export * from "./wire.js";
