/**
 * Publishes to a broker, for a client that is to receive: a process that writes bytes made by hand, and knows of the
 * broker's packets no more than how many acknowledgements came.
 *
 *     node feeder.js PORT QOS WINDOW BYTES
 *
 * It says when it is connected, and publishes as many messages as it is told to.
 */
import { connect } from "node:net";
import { Packets, TOPIC, connectPacket, packetIdOffset, publishPacket } from "../packets.js";

const [port, qos, window, size] = process.argv.slice(2).map(Number);
/** As much is written at a time of messages at QoS 0, and then awaited. */
const BLOCK = 16384;

const template = publishPacket(TOPIC, Buffer.alloc(size, "x"), qos);
const idOffset = packetIdOffset(template, size);
const PINGREQ = Buffer.from([0xc0, 0]);
const atOnce = qos > 0 ? window : Math.floor(BLOCK / template.length);

let unsent = 0;
let unacknowledged = 0;
let packetId = 0;
const socket = connect({ port, host: "127.0.0.1", noDelay: true });

function send(): void {
  if (qos === 0 && unacknowledged > 0) return;
  const count = Math.min(unsent, atOnce - unacknowledged);
  if (count === 0) return;
  unsent -= count;
  const messages = Buffer.concat(new Array<Buffer>(count).fill(template));
  if (qos === 0) {
    // What is answered behind them says that the broker has taken them.
    unacknowledged = 1;
    socket.write(Buffer.concat([messages, PINGREQ]));
    return;
  }
  unacknowledged += count;
  for (let at = idOffset; at < messages.length; at += template.length) {
    packetId = (packetId % 65535) + 1;
    messages[at] = packetId >> 8;
    messages[at + 1] = packetId & 255;
  }
  socket.write(messages);
}

const packets = new Packets((bytes, start, body) => {
  switch (bytes[start] >> 4) {
    case 2:
      process.send!("connected");
      break;
    case 4:
    case 7:
      unacknowledged--;
      break;
    case 5:
      socket.write(Buffer.from([0x62, 2, bytes[body], bytes[body + 1]]));
      break;
    case 13:
      unacknowledged = 0;
      break;
  }
});

// A broker that has ended.
socket.on("error", () => process.exit(1));
socket.on("connect", () => socket.write(connectPacket("feeder")));
socket.on("data", (chunk: Buffer) => {
  socket.cork();
  packets.push(chunk, chunk.length);
  send();
  socket.uncork();
});
process.on("message", (count) => {
  unsent += count as number;
  send();
});
process.on("disconnect", () => process.exit());
