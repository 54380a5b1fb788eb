/**
 * A door that logs in with SCRAM-SHA-256 over MQTT 5: the password is never sent, and a server that does not know it
 * too is left alone. It does so again each minute, in the running session: who has been locked out is out then. For
 * Node, where the hashes are.
 */
import mqtt from "mcu-mqtt/v5";
import { withAuth } from "mcu-mqtt/auth";
import { nameOfReason } from "mcu-mqtt/names";
import { scram } from "mcu-mqtt/scram";
import { print, tmr } from "#device";

const AGAIN_MS = 60000;

const m = withAuth(mqtt.Client("door", 60), scram({ username: "user", password: "password" }));

function authenticateAgain(): void {
  m.reauthenticate((_client, isDone) => print(isDone ? "authenticated again" : "not authenticated again"));
}

m.on("connect", (client) => {
  print("connected");
  client.subscribe("/door/lock", 1);
});
m.on("message", (_client, topic, data: string) => print(topic + ": " + data));
m.on("connfail", (_client, reason, detail) => {
  // Above 0 the server has refused, and may say why; below 0 it is the library, or the network, which did.
  if (detail instanceof Error) print("failed: " + detail.message);
  else if (reason > 0) print("refused: " + nameOfReason(reason));
  else print("failed reason: " + reason);
});
m.on("disconnect", (_client, reasonCode) => print("disconnected: " + nameOfReason(reasonCode)));
m.on("offline", () => print("offline"));

tmr.create().alarm(AGAIN_MS, tmr.ALARM_AUTO, authenticateAgain);
m.connect("192.168.11.118", 1883, 0);
