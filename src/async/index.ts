/** "mcu-mqtt/async": clients with promises, on the platform that the build chose as `mcu-mqtt/hal`. */
import hal from "mcu-mqtt/hal";
import { AsyncClient } from "./client.js";
import type { AsyncOptions } from "./options.js";

/**
 * Makes a client with promises. It does not connect before `connect()`.
 *
 * @example
 * const client = createClient({ host: "mqtts://broker.example", clientid: "sensor", reconnect: Infinity });
 * await client.connect();
 * await client.subscribe("/command", { qos: 1 });
 * for await (const { topic, payload } of client.messages()) console.log(topic, payload);
 *
 * @param options emqtt's, in camelCase; `options.hal` in place of the platform at hand
 * @throws TypeError or RangeError that names the option
 */
export function createClient(options: AsyncOptions = {}): AsyncClient {
  return new AsyncClient(hal, options);
}

export * from "./face.js";
