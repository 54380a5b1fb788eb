/**
 * The face without a platform, for one of your own: `createMqtt(hal, MQTT_3_1_1)`. Also what a board's bundle is made
 * of.
 */
export { Client, createMqtt } from "./client.js";
export type {
  ClientConstructor,
  ClientOptions,
  ConnectCallback,
  ConnfailCallback,
  Data,
  DataCallback,
  DoneCallback,
  DrainCallback,
  Events,
  Flag,
  MessageCallback,
  MessageInfo,
  Mqtt,
  OfflineCallback,
  QoS,
  SubscribeCallback,
} from "./client.js";
export type { Codec } from "./codec.js";
export type {
  Capacities,
  Hal,
  HalSettings,
  Socket,
  SocketFailure,
  SocketHandler,
  Text,
  Timer,
} from "../hal/socket.js";
export { MQTT_3_1_1 } from "./v311.js";
