/**
 * The client outside the simulation, another one on the same broker: sends messages to the program, and watches for its
 * will. It is this package's own client on Node's network.
 */
import { createNodeHal } from "../hal/node.js";
import type { SocketFailure } from "../hal/socket.js";
import type { Client, ConnectCallback, ConnfailCallback, QoS } from "../src/client.js";
import { createMqtt } from "../src/client.js";
import {
  CONN_FAIL_DNS,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  CONN_FAIL_TIMEOUT_RECEIVING,
  CONNACK_REFUSED_BAD_USER_OR_PASS,
  CONNACK_REFUSED_NOT_AUTHORIZED,
} from "../src/errors.js";
import { MQTT_3_1_1 } from "../src/v311.js";
import { SUBSCRIPTION_FAILURE } from "../src/wire.js";
import type { Broker } from "./broker.js";
import { Failure, messageOf } from "./failure.js";
import type { Message } from "./packet-text.js";
import { describeReturnCode, refusedLogin } from "./refusal.js";

/** How long the broker may take to come into sight. */
const CONNECT_TIMEOUT_MS = 10000;
/** Room for the largest will. */
const MAX_MESSAGE_LENGTH = 262144;

/** A client from outside. */
export class Outside {
  readonly #broker: Broker;
  readonly #client: Client;
  /** Those who wait for SUBACK, in the order of their subscribes. */
  readonly #subscribing: ((isGranted: boolean) => void)[] = [];
  #lastFailure: SocketFailure | undefined;

  /**
   * @param onMessage learns what was received
   * @param onLost the connection ended, and `close` was not called
   */
  constructor(broker: Broker, onMessage: (message: Message) => void, onLost: (failure: Failure) => void) {
    this.#broker = broker;
    const hal = createNodeHal();
    const mqtt = createMqtt(
      {
        ...hal,
        open: (host, port, secure, handler) =>
          hal.open(host, port, secure, {
            onReadable: (count) => handler.onReadable(count),
            onWritable: (count) => handler.onWritable(count),
            onError: (failure, detail) => {
              this.#lastFailure = failure;
              handler.onError(failure, detail);
            },
          }),
      },
      MQTT_3_1_1,
    );
    const { username, password } = broker.credentials ?? {};
    this.#client = new mqtt.Client(null, 60, username, password, 1, {
      format: "buffer",
      maxMessageLength: MAX_MESSAGE_LENGTH,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    });
    this.#client.on("message", (_client, topic, data: Uint8Array | undefined, { qos, retain }) => {
      const payload = data?.slice() ?? new Uint8Array(0);
      onMessage({ topic, payload, payloadLength: payload.length, qos, retain });
    });
    this.#client.on("suback", (_client, granted) => {
      this.#subscribing.shift()?.(granted[0] !== SUBSCRIPTION_FAILURE);
    });
    this.#client.on("offline", (_client, reason) => {
      if (reason === 0) return;
      onLost(new Failure(`the connection from outside to the broker at ${this.#where} was lost: look into its log`));
    });
  }

  /** Connects; rejects with a Failure that says why that is not possible. */
  connect(): Promise<void> {
    const { host, port, secure } = this.#broker.route;
    return new Promise((resolve, reject) => {
      const ok: ConnectCallback = () => resolve();
      const fail: ConnfailCallback = (_client, reason, detail) => reject(this.#explain(reason, detail));
      this.#client.connect(host, port, secure, ok, fail);
    });
  }

  /** Subscribes; `answered` learns whether the broker allows it. */
  watch(topic: string, qos: number, answered: (isGranted: boolean) => void): void {
    if (this.#client.subscribe(topic, qos as QoS)) this.#subscribing.push(answered);
    else answered(false);
  }

  send(topic: string, payload: string, qos: number): void {
    this.#client.publish(topic, payload, qos as QoS);
  }

  /** Disconnects in good order. */
  close(): void {
    this.#client.close();
  }

  get #where(): string {
    return `${this.#broker.route.host}:${this.#broker.route.port}`;
  }

  /** Why it could not connect, and what to do. */
  #explain(reason: number, detail: unknown): Failure {
    const { host, secure } = this.#broker.route;
    const where = this.#where;
    const because = detail === undefined ? "" : ` (${messageOf(detail)})`;
    const tlsHint = secure === undefined ? "; if it wants TLS, write mqtts://" : "";
    switch (reason) {
      case CONN_FAIL_DNS:
        return new Failure(`cannot find the host "${host}"${because}: check the name in --broker`);
      case CONN_FAIL_TIMEOUT_RECEIVING:
      case CONN_FAIL_NOT_A_CONNACK_MSG:
        return new Failure(`${where} does not answer as an MQTT broker: check the port in --broker${tlsHint}`);
      case CONNACK_REFUSED_BAD_USER_OR_PASS:
      case CONNACK_REFUSED_NOT_AUTHORIZED:
        return refusedLogin(where, reason);
    }
    if (reason > 0) {
      return new Failure(`the broker at ${where} refused a client (CONNACK ${describeReturnCode(reason)})`);
    }
    switch (this.#lastFailure) {
      case "tls":
        return new Failure(`no TLS with ${where}${because}: check --broker, or name its authority with --cafile FILE`);
      case "closed":
        return new Failure(`${where} hung up without an answer: check the port in --broker${tlsHint}`);
      default:
        return new Failure(`no broker answers at ${where}${because}: start it, or correct host and port in --broker`);
    }
  }
}
