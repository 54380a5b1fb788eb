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
// checked; 1 instead of the options asks for the name "192.168.11.118". An authority of your own goes into `ca`.
m.connect("192.168.11.118", 8883, { servername: "broker.example" });
