/** Encoding PUBLISH. */
import type { Message } from "../contestants/contestant.js";
import { MEASURE_OPTIONS, measure } from "../measure.js";
import { PAYLOAD_LENGTHS, payloadOf, payloadTitle, publishOf, TARGET_LENGTH, topicOf } from "../messages.js";
import type { Table } from "./table.js";

/** Taken in turn, lest one topic be a constant to the compiler. A power of two. */
const TOPICS = Array.from({ length: 8 }, (_, index) => topicOf(index));

export default {
  title: "Encode PUBLISH",
  text:
    "One operation makes the packet of a message whose topic is a string of 24 ASCII characters and whose payload is " +
    "bytes. Processor time of the process, collections included; heap bytes are those allocated on V8's heap, buffer " +
    "bytes those of array buffers beside it.",
  rounds: 3,
  contestants: ["mcu-mqtt", "mqtt-packet", "mqtt-packet-stream", "u8-mqtt-packet", "limit"],
  rows: [0, 1].flatMap((qos) =>
    PAYLOAD_LENGTHS.map((length) => ({
      title: `QoS ${qos}, ${payloadTitle(length)}`,
      args: { qos, length },
      isLong: length !== TARGET_LENGTH,
    })),
  ),
  columns: [
    { figure: "cpuNs", title: "CPU", unit: "ns" },
    { figure: "heapBytes", title: "heap", unit: "B" },
    { figure: "bufferBytes", title: "buffers", unit: "B" },
  ],
  nodeOptions: MEASURE_OPTIONS,

  run(contestant, args, isQuick) {
    const message: Message = { topic: TOPICS[0], payload: payloadOf(args.length as number), qos: args.qos as 0 | 1 };
    const encoder = contestant.encoder?.(message);
    if (encoder === undefined) return Promise.resolve(undefined);
    for (const topic of TOPICS) {
      message.topic = topic;
      const packet = publishOf(message.topic, message.payload, message.qos);
      if (Buffer.compare(encoder.packet(), packet) !== 0) throw new Error("another packet was encoded");
    }
    const length = encoder.packet().length;
    const figures = measure((count) => {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        message.topic = TOPICS[i & (TOPICS.length - 1)];
        sum += encoder.encode();
      }
      if (sum !== count * length) throw new Error(`${sum} bytes were encoded, not ${count} times ${length}`);
    }, isQuick);
    return Promise.resolve({ ...figures });
  },
} satisfies Table;
