/** The promise face without a platform, for one of your own: `new AsyncClient(hal, options)`. */
export type {
  AcknowledgeOptions,
  Connected,
  DisconnectOptions,
  FilterResult,
  Filters,
  Info,
  Publication,
  Published,
  PublishOptions,
  Status,
  SubscribeOptions,
  SubscriptionOptions,
  UnsubscribeOptions,
} from "./client.js";
export { AsyncClient } from "./client.js";
export {
  ABORTED,
  describeReason,
  MqttError,
  NOT_CONNECTED,
  NOT_DELIVERED,
  QUEUE_FULL,
  TIMED_OUT,
} from "./errors.js";
export type { Limits, Signal } from "./operations.js";
export type { Address, AsyncOptions, ClientEvent, Message, QosName, Secret } from "./options.js";
