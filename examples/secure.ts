/** A door that says over TLS whether it is there: "online" itself, "offline" the broker for it, as its will. */
import mqtt from "mcu-mqtt";
import { print } from "#device";

const m = mqtt.Client("door", 60, "user", "password");

// Published by the broker when the connection ends without close(). Retained: who subscribes later learns it too.
m.lwt("/door/status", "offline", 1, 1);

m.on("connect", (client) => {
  print("connected");
  client.publish("/door/status", "online", 1, 1);
  client.subscribe("/door/lock", 1);
});
m.on("message", (_client, topic, data) => print(topic + ": " + data));
m.on("connfail", (_client, reason) => print("failed reason: " + reason));
m.on("offline", () => print("offline"));

// The broker's certificate must be for this name, and from an authority that the platform trusts, which is always
// checked. Options of the platform may stand for the 1: an authority of your own, say.
m.connect("broker.example", 8883, 1);
