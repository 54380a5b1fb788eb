/**
 * A sensor with MQTT 5: answers whoever asks for its temperature, wherever he wants the answer, and publishes it every
 * two seconds. The long topic of that is sent once on each connection, and stands for itself as a number of two bytes
 * from then on; nothing needs to be done for it. examples/mqtt5-display.ts asks.
 */
import mqtt, { type Properties } from "mcu-mqtt/v5";
import { reply } from "mcu-mqtt/request";
import { print, tmr } from "#device";

const QUESTION = "/building/2/floor/1/room/7/temperature/read";
const READINGS = "/building/2/floor/1/room/7/temperature";
const READING_MS = 2000;
const RETRY_MS = 3000;

const m = mqtt.Client("thermometer", 30, "user", "password");

let count = 0;

/** Stands for a thermometer. */
function readTemperature(): string {
  return (20 + (count++ % 50) / 10).toFixed(1);
}

/** Says how many topics the broker lets the client send as numbers; with 0 all are sent whole. */
function showAliases(properties: Properties): void {
  const most = properties.get("topicAliasMaximum") as number | undefined;
  print("connected, aliases for " + (most === undefined ? 0 : most) + " topics");
}

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("connect", (client, _sessionPresent, properties) => {
  showAliases(properties);
  client.subscribe(QUESTION, 1);
});
m.on("message", (client, _topic, _data, info) => {
  // False: nobody wants an answer, or there is no room for it.
  if (reply(client, info, readTemperature(), 1, { contentType: "text/plain" })) print("answered");
});
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
m.on("offline", () => {
  print("offline");
  connectLater();
});

tmr.create().alarm(READING_MS, tmr.ALARM_AUTO, () => m.publish(READINGS, readTemperature()));
connect();
