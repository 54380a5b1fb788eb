/**
 * One of as many workers as you like, with MQTT 5: the broker gives each job to one of them, since they subscribe
 * together. Start it twice, and publish to jobs.
 */
import mqtt from "mcu-mqtt/v5";
import { print, tmr } from "#device";

const RETRY_MS = 3000;

// Each has a client identifier of its own, which the library makes.
const m = mqtt.Client(null, 30, "user", "password");

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("connect", (client) => {
  // The name behind $share says who belongs together; what follows is a filter as any other.
  client.subscribe("$share/workers/jobs", 1);
});
m.on("suback", (_client, granted) => print(granted[0] < 0x80 ? "ready" : "refused"));
m.on("message", (_client, _topic, data: string) => print("job: " + data));
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
m.on("offline", () => {
  print("offline");
  connectLater();
});

connect();
