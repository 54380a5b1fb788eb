/** The example of NodeMCU's document, line by line. */
import mqtt from "mcu-mqtt";
import { print } from "#device";

// init mqtt client without logins, keepalive timer 120s
// eslint-disable-next-line no-useless-assignment -- as in the document
let m = mqtt.Client("clientid", 120);

// init mqtt client with logins, keepalive timer 120sec
m = mqtt.Client("clientid", 120, "user", "password");

// setup Last Will and Testament (optional)
// Broker will publish a message with qos = 0, retain = 0, data = "offline"
// to topic "/lwt" if client don't send keepalive packet
m.lwt("/lwt", "offline", 0, 0);

m.on("connect", () => print("connected"));
m.on("offline", () => print("offline"));

// on publish message receive event
m.on("message", (_client, topic, data) => {
  print(topic + ":");
  if (data !== undefined) {
    print(data);
  }
});

// for TLS: m.connect("192.168.11.118", secure-port, 1)
m.connect("192.168.11.118", 1883, 0, (client) => {
  print("connected");
  // Calling subscribe/publish only makes sense once the connection
  // was successfully established. You can do that either here in the
  // 'connect' callback or you need to otherwise make sure the
  // connection was established (e.g. tracking connection status or in
  // m.on("connect", function)).

  // subscribe topic with qos = 0
  client.subscribe("/topic", 0, () => print("subscribe success"));
  // publish a message with data = hello, QoS = 0, retain = 0
  client.publish("/topic", "hello", 0, 0, () => print("sent"));
},
(_client, reason) => {
  print("failed reason: " + reason);
});

m.close();
// you can call m.connect again
