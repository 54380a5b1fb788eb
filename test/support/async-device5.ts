/**
 * As async-device.ts, with MQTT 5. What the client writes is read by another library's parser, and what the broker says
 * is put together byte by byte.
 */
import mqttPacket from "mqtt-packet";
import { MockHal } from "../../hal/mock.js";
import type { MockHalOptions } from "../../hal/mock.js";
import { AsyncClient } from "../../src/async/client.js";
import type { AsyncOptions, ClientEvent } from "../../src/async/options.js";
import { MQTT_5 } from "../../src/v5/v5.js";
import { flush } from "./async-device.js";
import { join } from "./bytes.js";
import type { Packet5, Properties5 } from "./packets5.js";
import { reference5 } from "./packets5.js";

/** A packet as the other library shows it. */
export type Seen = Record<string, unknown> & { cmd: string };

/** CONNACK that accepts. */
export function connack5(properties: Properties5 = {}, sessionPresent = false, reasonCode = 0): Packet5 {
  return { type: "CONNACK", sessionPresent, reasonCode, properties };
}

/** A message of the broker. */
export function message5(
  topicName: string,
  payload: string,
  properties: Properties5 = {},
  qos = 0,
  packetId = 0,
): Packet5 {
  return { type: "PUBLISH", topicName, payload, qos, packetId, dup: false, retain: false, properties };
}

/** What a client has written, packet by packet; what is 0, false or of no account for a test is left out. */
export function parse5(bytes: Uint8Array): Seen[] {
  const seen: Seen[] = [];
  const parser = mqttPacket.parser({ protocolVersion: 5 });
  parser.on("packet", (packet) => {
    const whole = packet as unknown as Seen;
    const { cmd } = whole;
    const kept: Seen = { cmd };
    for (const [name, value] of Object.entries(whole)) {
      const isPlain = value === 0 || value === false || value === undefined || value === null;
      if (isPlain || name === "length" || name === "topic" && value === "") continue;
      kept[name] = Buffer.isBuffer(value) ? value.toString() : typeof value === "object" ? plain(value) : value;
    }
    seen.push(kept);
  });
  parser.on("error", (error: Error) => {
    throw error;
  });
  parser.parse(Buffer.from(bytes));
  return seen;
}

function plain(value: object): unknown {
  return JSON.parse(JSON.stringify(value, (_, each: unknown) =>
    typeof each === "object" && each !== null && (each as { type?: unknown }).type === "Buffer"
      ? Buffer.from((each as { data: number[] }).data).toString() : each)) as unknown;
}

export class AsyncDevice5 {
  readonly hal: MockHal;
  readonly client: AsyncClient;
  readonly events: ClientEvent[] = [];

  constructor(options: AsyncOptions = {}, hal: MockHalOptions = {}) {
    this.hal = new MockHal(hal);
    const owner = (event: ClientEvent): void => void this.events.push(event);
    this.client = new AsyncClient(this.hal, { clientid: "id", codec: MQTT_5, owner, ...options });
  }

  /** What was written since this was asked last. */
  sent(): Seen[] {
    this.hal.settle();
    return parse5(this.hal.socket.takeSent());
  }

  /** The broker sends these. */
  async send(...packets: Packet5[]): Promise<void> {
    this.hal.socket.receive(join(...packets.map(reference5)));
    this.hal.settle();
    await flush();
  }

  /** The events since this was asked last, states aside. */
  async take(): Promise<ClientEvent[]> {
    this.hal.settle();
    await flush();
    return this.events.splice(0).filter(({ type }) => type !== "state");
  }

  /** A session with a broker that says this in CONNACK. */
  async up(properties: Properties5 = {}, sessionPresent = false): Promise<this> {
    const connected = this.client.connect();
    await this.accept(properties, sessionPresent);
    await connected;
    await this.take();
    return this;
  }

  /** The attempt that is under way is accepted. */
  async accept(properties: Properties5 = {}, sessionPresent = false): Promise<void> {
    this.hal.settle();
    this.hal.socket.connect();
    this.sent();
    await this.send(connack5(properties, sessionPresent));
  }

  /** The connection is lost. */
  async lose(): Promise<void> {
    this.hal.socket.fail("closed");
    this.hal.settle();
    await flush();
  }

  async advance(ms: number): Promise<void> {
    this.hal.advance(ms);
    await flush();
  }
}
