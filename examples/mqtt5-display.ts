/**
 * A display with MQTT 5 that asks for a temperature every five seconds, and shows the answer or why there is none. The
 * other end is examples/mqtt5-sensor.ts.
 */
import mqtt from "mcu-mqtt/v5";
import { withRequests } from "mcu-mqtt/request";
import { print, tmr } from "#device";

const QUESTION = "/building/2/floor/1/room/7/temperature/read";
const ASK_MS = 5000;
const RETRY_MS = 3000;

// Answers come to a topic that is this display's alone. It subscribes by itself.
const m = withRequests(mqtt.Client("display", 30, "user", "password"), {
  responseTopic: "/display/answers",
  timeoutMs: 2000,
});

function ask(): void {
  m.request(QUESTION, "", (_client, data: string, info, failure) => {
    if (info === undefined) print("no answer: " + failure);
    else print("temperature: " + data + " as " + String(info.properties.get("contentType")));
  });
}

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("connect", () => {
  print("connected");
  ask();
});
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
m.on("offline", () => {
  print("offline");
  connectLater();
});

// Without a session, nothing is asked.
tmr.create().alarm(ASK_MS, tmr.ALARM_AUTO, ask);
connect();
