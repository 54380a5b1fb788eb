/** u8-mqtt. */
import { connect as connectTcp } from "node:net";
import { once } from "node:events";
import mqttV4 from "u8-mqtt/esm/node/v4.js";
import { ECHO, TOPIC } from "../packets.js";
import type { Contestant } from "./contestant.js";

export default {
  name: "u8-mqtt",
  given:
    "MQTT 3.1.1, a socket of node:net, and one route for each topic; at QoS 0 its inner _send, since its pub throws " +
    "there; it has no QoS 2",
  async connect(port, { clientId, onMessage }) {
    const socket = connectTcp({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    const client = mqttV4({ log_conn: () => undefined });
    client.with_stream(socket);
    const deliver = (packet: { payload: Uint8Array }): void => onMessage(packet.payload);
    client.on_topic(TOPIC, deliver).on_topic(ECHO, deliver);
    await client.connect({ client_id: clientId, keep_alive: 60 });
    /** Messages at QoS 0 that Node has not handed to the system. */
    let unsent: (() => void)[] = [];
    socket.on("drain", () => {
      const dones = unsent;
      unsent = [];
      for (const done of dones) done();
    });
    return {
      async subscribe(filter, qos) {
        await client.subscribe({ topics: [{ topic: filter, opts: qos }] });
      },
      publish({ topic, payload, qos }, done) {
        const packet = { topic, payload, qos };
        if (qos > 0) {
          void client.pub(packet).then(done);
          return;
        }
        void client._send("publish", packet).then(() => {
          if (socket.writableNeedDrain) unsent.push(done);
          else done();
        });
      },
      async end() {
        await client.disconnect();
        socket.destroy();
      },
    };
  },
} satisfies Contestant;
