/**
 * Publishes messages below `out`, each to a topic of its own, and sends back below `back`, at the same QoS, what comes
 * below `in`.
 */
import mqtt from "mcu-mqtt";
import type { Client, Data, QoS } from "mcu-mqtt";
import { print } from "#device";

declare const settings: {
  format: "string" | "buffer";
  /** QoS of each message, and its payload: text, or the length of bytes that count upwards from the QoS. */
  out: { qos: QoS; payload: string | number }[];
};

const m = mqtt.Client("echo", 120, null, null, 1, {
  format: settings.format,
  rxCapacity: 4096,
  txCapacity: 131072,
  maxOperations: 64,
  maxMessageLength: 20000,
  receiveMaximum: 64,
});

function send(client: Client, topic: string, payload: Data, qos: QoS): void {
  if (!client.publish(topic, payload, qos)) throw new Error("no room for " + topic);
}

function payloadOf(payload: string | number, qos: QoS): Data {
  return typeof payload === "string" ? payload : new Uint8Array(payload).map((_, i) => qos + i);
}

m.on("message", (client, topic, data, info) => send(client, topic.replace(/^in/, "back"), data ?? "", info.qos));
m.on("puback", () => print("sent"));
m.on("offline", (_client, reason) => print("offline: " + reason));

m.connect("broker.test", 1883, 0, (client) => {
  client.subscribe("in/#", 2, () => print("listens"));
  settings.out.forEach(({ qos, payload }, i) => send(client, "out/" + i, payloadOf(payload, qos), qos));
}, (_client, reason) => print("failed reason: " + reason));
