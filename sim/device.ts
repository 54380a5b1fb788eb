/**
 * What a program under simulation gets as "mcu-mqtt": the face over the simulation's network, each of its callbacks
 * shown as it is called.
 */
import type {
  ClientConstructor,
  ClientOptions,
  Data,
  DoneCallback,
  Events,
  Flag,
  Mqtt,
  QoS,
} from "../src/face.js";
import { Client, createMqtt, MQTT_3_1_1 } from "../src/face.js";
import type { DeviceName } from "./wiring.js";
import { getWiring } from "./wiring.js";

export * from "../src/face.js";

type Maybe<T> = T | null | undefined;
type ClientArguments = [
  clientid?: Maybe<string | number>,
  keepalive?: Maybe<number>,
  username?: Maybe<Data>,
  password?: Maybe<Data>,
  cleansession?: Maybe<Flag>,
  options?: Maybe<number | ClientOptions>,
];

const wiring = getWiring();

class SimulatedClient extends Client {
  readonly #name: DeviceName;

  constructor(...[clientid, keepalive, username, password, cleansession, options]: ClientArguments) {
    const name = { number: 0 };
    const own = wiring.credentials;
    const user = own === undefined ? username : own.username;
    const secret = own === undefined ? password : own.password;
    super(wiring.hal(name), MQTT_3_1_1, clientid, keepalive, user, secret, cleansession, options);
    this.#name = name;
  }

  override on<E extends keyof Events>(event: E, callback: Events[E] | null): void {
    super.on(event, this.#shown(event, callback));
  }

  override connect(host: string, ...rest: unknown[]): boolean {
    if (this.#name.number === 0) this.#name.number = wiring.nextDevice();
    // What was the client's ok and what its fail, their arguments tell.
    const connect = (...args: [string, ...unknown[]]): boolean => super.connect(...(args as [string]));
    return connect(host, ...rest.map((argument) => this.#shown(undefined, argument)));
  }

  override publish(
    topic: string | number,
    payload: Data,
    qos?: QoS | null,
    retain?: Flag | null,
    done?: DoneCallback | null,
  ): boolean {
    return super.publish(topic, payload, qos, retain, this.#shown("puback", done));
  }

  override subscribe(topics: unknown, ...rest: unknown[]): boolean {
    const subscribe = (...args: unknown[]): boolean => super.subscribe(...(args as [string]));
    return subscribe(topics, ...rest.map((argument) => this.#shown("suback", argument)));
  }

  override unsubscribe(topics: string | number | Record<string, unknown>, done?: DoneCallback | null): boolean {
    return super.unsubscribe(topics, this.#shown("unsuback", done));
  }

  override close(): boolean {
    const result = super.close();
    wiring.onCall("close", result);
    return result;
  }

  override abort(): boolean {
    const result = super.abort();
    wiring.onCall("abort", result);
    return result;
  }

  /** The callback, if it is one, made to be shown when it is called. */
  #shown<T>(event: string | undefined, callback: T): T {
    if (typeof callback !== "function") return callback;
    const shown = (client: Client, ...args: unknown[]): unknown => {
      const known = event ?? (typeof args[0] === "number" ? "connfail" : "connect");
      wiring.onCallback(this.#name.number, known, args);
      return (callback as (client: Client, ...args: unknown[]) => unknown)(client, ...args);
    };
    return shown as T;
  }
}

/** Makes a client with or without `new`, as the face does. */
function construct(...args: ClientArguments): Client {
  return new SimulatedClient(...args);
}
construct.prototype = SimulatedClient.prototype;

const mqtt: Mqtt = {
  ...createMqtt(wiring.hal({ number: 0 }), MQTT_3_1_1),
  Client: construct as unknown as ClientConstructor,
};

export default mqtt;
