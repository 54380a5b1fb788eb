/**
 * The minimal peer: a process that answers MQTT's packets by their fixed headers, so that the client is what costs. All
 * answers to a chunk leave in one write. It knows no subscriptions but two:
 *
 * - `feed/QOS/WINDOW/COUNT/BYTES` has it send COUNT messages, WINDOW of them unacknowledged at a time
 * - `echo` has what the same client publishes to `echo`, at QoS 0, come back to it
 *
 * It tells its port to the process that forked it, and ends with that.
 */
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { CONNACK, ECHO, PINGRESP, Packets, TOPIC, packetIdOffset, publishPacket } from "../packets.js";

/** As much is written at a time of messages at QoS 0. */
const BLOCK = 65536;
const PUBREC = 0x50;
const PUBREL = 0x62;

const answerTypes: Record<number, number> = { [0x32]: 0x40, [0x34]: PUBREC, [PUBREC]: PUBREL, [PUBREL]: 0x70 };

function serve(socket: Socket): void {
  /** Answers to the chunk at hand. A packet of 4 bytes has an answer of as many. */
  let answers: Buffer = Buffer.allocUnsafeSlow(BLOCK);
  let answered = 0;
  let echoes = false;
  let template: Buffer = Buffer.alloc(0);
  let idOffset = 0;
  let packetId = 0;
  let unsent = 0;
  let unacknowledged = 0;
  let most = 0;

  const answer = (bytes: Uint8Array, start: number, end: number): void => {
    if (answered + end - start > answers.length) {
      answers = Buffer.concat([answers.subarray(0, answered), Buffer.allocUnsafe(BLOCK + end - start)]);
    }
    answers.set(bytes.subarray(start, end), answered);
    answered += end - start;
  };
  const acknowledge = (type: number, high: number, low: number): void => {
    if (answered + 4 > answers.length) answers = Buffer.concat([answers, Buffer.allocUnsafe(BLOCK)]);
    answers[answered] = type;
    answers[answered + 1] = 2;
    answers[answered + 2] = high;
    answers[answered + 3] = low;
    answered += 4;
  };

  const subscribe = (bytes: Uint8Array, body: number): void => {
    const end = body + 4 + bytes[body + 2] * 256 + bytes[body + 3];
    const filter = String(Buffer.from(bytes.subarray(body + 4, end)));
    answer(Buffer.from([0x90, 3, bytes[body], bytes[body + 1], bytes[end]]), 0, 5);
    echoes ||= filter === ECHO;
    const [kind, ...numbers] = filter.split("/");
    if (kind !== "feed") return;
    const [qos, window, count, size] = numbers.map(Number);
    template = publishPacket(TOPIC, Buffer.alloc(size, "x"), qos);
    idOffset = packetIdOffset(template, size);
    if (qos === 0) {
      flood(count);
    } else {
      unsent = count;
      most = window;
    }
  };

  const flood = (count: number): void => {
    const atOnce = Math.max(1, Math.floor(BLOCK / template.length));
    const block = Buffer.concat(new Array<Buffer>(atOnce).fill(template));
    let left = count;
    const fill = (): void => {
      while (left > 0) {
        const n = Math.min(left, atOnce);
        left -= n;
        if (!socket.write(block.subarray(0, n * template.length))) break;
      }
      if (left > 0) socket.once("drain", fill);
    };
    setImmediate(fill);
  };

  const packets = new Packets((bytes, start, body, end) => {
    const first = bytes[start];
    switch (first >> 4) {
      case 1:
        answer(CONNACK, 0, 4);
        break;
      case 3: {
        const topicEnd = body + 2 + bytes[body] * 256 + bytes[body + 1];
        const qos = first & 6;
        if (qos > 0) acknowledge(answerTypes[first & 0x36], bytes[topicEnd], bytes[topicEnd + 1]);
        else if (echoes && topicEnd - body === 2 + ECHO.length) answer(bytes, start, end);
        break;
      }
      case 5:
      case 6:
        acknowledge(answerTypes[first], bytes[body], bytes[body + 1]);
        break;
      case 4:
      case 7:
        unacknowledged--;
        break;
      case 8:
        subscribe(bytes, body);
        break;
      case 12:
        answer(PINGRESP, 0, 2);
        break;
    }
  });

  /** Answers and messages of one chunk. */
  const send = (): void => {
    const messages = Math.min(unsent, most - unacknowledged);
    if (answered === 0 && messages === 0) return;
    const bytes = Buffer.allocUnsafe(answered + messages * template.length);
    bytes.set(answers.subarray(0, answered));
    for (let at = answered; at < bytes.length; at += template.length) {
      packetId = (packetId % 65535) + 1;
      bytes.set(template, at);
      bytes[at + idOffset] = packetId >> 8;
      bytes[at + idOffset + 1] = packetId & 255;
    }
    unsent -= messages;
    unacknowledged += messages;
    answered = 0;
    socket.write(bytes);
  };

  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    packets.push(chunk, chunk.length);
    send();
  });
  // A client that is measured may end as it likes.
  socket.on("error", () => socket.destroy());
}

const server = createServer(serve);
server.listen(0, "127.0.0.1", 1024, () => process.send!((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
