/** Over WebSocket: publishes to `out`, and sends back to `back`, at the same QoS, what comes to `in`. */
import mqtt from "mcu-mqtt";
import type { QoS } from "mcu-mqtt";
import { print } from "#device";
import { withUrl } from "../../../src/optional/url.js";

declare const settings: { url: string; lengths: number[] };

const m = withUrl(mqtt.Client("websocket", 120, null, null, 1, {
  format: "buffer",
  rxCapacity: 4096,
  txCapacity: 65536,
  maxOperations: 64,
  maxMessageLength: 20000,
  receiveMaximum: 64,
}));

m.on("message", (client, _topic, data, info) => {
  if (!client.publish("back", data ?? "", info.qos)) throw new Error("no room");
});
m.on("puback", () => print("sent"));
m.on("offline", (_client, reason) => print("offline: " + reason));

m.connect(settings.url, (client) => {
  client.subscribe("in", 2, () => print("listens"));
  settings.lengths.forEach((length, i) => {
    const payload = new Uint8Array(length).map((_, at) => at + i);
    if (!client.publish("out", payload, (i % 3) as QoS)) throw new Error("no room");
  });
}, (_client, reason) => print("failed reason: " + reason));
