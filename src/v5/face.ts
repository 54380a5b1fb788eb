/** NodeMCU's face with MQTT 5, without a platform: `createMqtt5(hal)`. */
import type { Hal } from "../../hal/socket.js";
import type { ClientOptions, ConnfailCallback, Data, Flag, Mqtt, QoS, SubscribeCallback } from "../client.js";
import { createMqtt } from "../client.js";
import type { Client5, ConnectCallback5, Events5, FilterOptions } from "./client.js";
import type { GivenProperties, Settings5 } from "./properties.js";
import { mqtt5 } from "./v5.js";

type Maybe<T> = T | null | undefined;

/** The calls of `Client5` whose arguments may be left out in the middle, and `on`. */
interface Calls {
  on<E extends keyof Events5>(event: E, callback: Events5[E] | null): void;
  connect(
    host: string | number,
    ok?: ConnectCallback5 | null,
    fail?: ConnfailCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    ok?: ConnectCallback5 | null,
    fail?: ConnfailCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    secure: Maybe<Flag | object>,
    ok?: ConnectCallback5 | null,
    fail?: ConnfailCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    secure: Maybe<Flag | object>,
    autoreconnect: Maybe<Flag>,
    ok?: ConnectCallback5 | null,
    fail?: ConnfailCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  subscribe(filter: string | number, done?: SubscribeCallback | null, properties?: GivenProperties | null): boolean;
  subscribe(
    filter: string | number,
    options: Maybe<QoS | FilterOptions>,
    done?: SubscribeCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  subscribe(
    table: Record<string, QoS | FilterOptions>,
    done?: SubscribeCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
}

/** A client with MQTT 5, as `mqtt.Client` makes it. */
export type MqttClient5 = Omit<Client5, keyof Calls> & Calls & Client5;

/** As `ClientConstructor`. */
export interface ClientConstructor5 {
  new (
    clientid?: string | number | null,
    keepalive?: number | null,
    username?: Data | null,
    password?: Data | null,
    cleansession?: Flag | null,
    options?: number | ClientOptions | null,
  ): MqttClient5;
  (
    clientid?: string | number | null,
    keepalive?: number | null,
    username?: Data | null,
    password?: Data | null,
    cleansession?: Flag | null,
    options?: number | ClientOptions | null,
  ): MqttClient5;
}

/** NodeMCU's `mqtt` module with MQTT 5. */
export interface Mqtt5 extends Omit<Mqtt, "Client"> {
  Client: ClientConstructor5;
}

/**
 * NodeMCU's `mqtt` module on a platform, with MQTT 5.
 *
 * @example
 * const mqtt = createMqtt5(hal);
 * const client = mqtt.Client("clientid", 120);
 *
 * @param hal the platform
 * @param settings sizes that only MQTT 5 has
 */
export function createMqtt5(hal: Hal, settings?: Partial<Settings5> | null): Mqtt5 {
  return createMqtt(hal, mqtt5(settings)) as Mqtt5;
}

export type {
  Client5,
  ConnectCallback5,
  DataCallback5,
  DisconnectCallback,
  DoneCallback5,
  Events5,
  FilterOptions,
  MessageCallback5,
  MessageInfo5,
  PropertiesCallback,
} from "./client.js";
export type {
  GivenProperties,
  Properties,
  PropertyVisitor,
  ReceivedProperties,
  Settings5,
  UserProperty,
} from "./properties.js";
export { MQTT_5, mqtt5 } from "./v5.js";
