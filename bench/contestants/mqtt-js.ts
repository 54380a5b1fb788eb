/** MQTT.js. */
import type { Socket } from "node:net";
import mqtt from "mqtt";
import type { Contestant } from "./contestant.js";

export default {
  name: "MQTT.js",
  given: "MQTT 3.1.1, its own stores in memory and its cache of writes, callbacks instead of promises, no reconnecting",
  connect(port, { clientId, onMessage }) {
    const client = mqtt.connect({
      host: "127.0.0.1",
      port,
      protocol: "mqtt",
      protocolVersion: 4,
      clientId,
      keepalive: 60,
      reconnectPeriod: 0,
      resubscribe: false,
    });
    // Else what is sent may wait for what was sent before to arrive.
    client.once("connect", () => (client.stream as Socket).setNoDelay(true));
    client.on("message", (_topic, payload) => onMessage(payload));
    return new Promise((fulfil, reject) => {
      client.once("error", reject);
      client.once("connect", () =>
        fulfil({
          subscribe: (filter, qos) =>
            new Promise((granted, failed) => {
              client.subscribe(filter, { qos }, (error) => (error ? failed(error) : granted()));
            }),
          publish(message, done) {
            client.publish(message.topic, message.payload as Buffer, { qos: message.qos }, done);
          },
          end: () =>
            new Promise((ended) => {
              client.end(false, {}, () => ended());
            }),
          again: () =>
            new Promise((accepted) => {
              client.once("connect", () => accepted());
              client.reconnect();
            }),
        }),
      );
    });
  },
} satisfies Contestant;
