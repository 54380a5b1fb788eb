/** Decoding a stream of PUBLISH packets. */
import { MEASURE_OPTIONS, measure } from "../measure.js";
import { PAYLOAD_LENGTHS, payloadOf, payloadTitle, publishOf, TARGET_LENGTH, topicOf } from "../messages.js";
import type { Table } from "./table.js";

/** Least bytes of the stream; it ends with a packet, so that it can be repeated. */
const STREAM_LENGTH = 1 << 20;
/** What a TCP segment brings. */
const CHUNK_LENGTH = 1460;

const FORMS = ["ranges", "messages"];

export default {
  title: "Decode PUBLISH",
  text:
    "A stream of 1 MiB comes in chunks of 1460 bytes, again and again. Ranges: messages are only counted, nothing " +
    "has to be handed over. Messages: the topic is handed over as a string, the payload as bytes; mqtt-packet and " +
    "u8-mqtt-packet always do. Topics are of 24 ASCII characters, and all the same. Figures are of one packet: " +
    "processor time of the process, collections included; heap bytes are those allocated on V8's heap, buffer bytes " +
    "those of array buffers beside it.",
  rounds: 3,
  contestants: ["mcu-mqtt", "mqtt-packet", "u8-mqtt-packet", "limit"],
  rows: FORMS.flatMap((form) =>
    [0, 1].flatMap((qos) =>
      PAYLOAD_LENGTHS.map((length) => ({
        title: `${form}, QoS ${qos}, ${payloadTitle(length)}`,
        args: { form, qos, length },
        isLong: length !== TARGET_LENGTH,
      })),
    ),
  ),
  columns: [
    { figure: "cpuNs", title: "CPU", unit: "ns" },
    { figure: "heapBytes", title: "heap", unit: "B" },
    { figure: "bufferBytes", title: "buffers", unit: "B" },
  ],
  nodeOptions: MEASURE_OPTIONS,

  run(contestant, { form, qos, length }, isQuick) {
    const topic = topicOf(0);
    const packet = publishOf(topic, payloadOf(length as number), qos as number);
    const packets = Math.ceil(STREAM_LENGTH / packet.length);
    const stream = Buffer.alloc(packets * packet.length, packet);
    const chunks: Buffer[] = [];
    for (let at = 0; at < stream.length; at += CHUNK_LENGTH) chunks.push(stream.subarray(at, at + CHUNK_LENGTH));

    const topicChars = form === "ranges" ? 0 : packets * topic.length;
    const payloadBytes = form === "ranges" ? 0 : packets * (length as number);
    const told = { count: 0, topicChars: 0, payloadBytes: 0 };
    const onRange = (): void => {
      told.count++;
    };
    const onMessage = (messageTopic: string, payload: Uint8Array): void => {
      told.count++;
      told.topicChars += messageTopic.length;
      told.payloadBytes += payload.length;
    };
    const decode = form === "ranges" ? contestant.rangeDecoder?.(onRange) : contestant.messageDecoder?.(onMessage);
    if (decode === undefined) return Promise.resolve(undefined);

    let next = 0;
    const decodeChunks = (count: number): void => {
      for (let i = 0; i < count; i++) {
        decode(chunks[next]);
        if (++next < chunks.length) continue;
        next = 0;
        const isAll = told.count === packets;
        const isWhole = told.topicChars === topicChars && told.payloadBytes === payloadBytes;
        if (!isAll || !isWhole) throw new Error(`of ${packets} packets came ${JSON.stringify(told)}`);
        told.count = told.topicChars = told.payloadBytes = 0;
      }
    };
    const ofChunk = measure(decodeChunks, isQuick);
    // What was measured last is checked, too.
    decodeChunks(chunks.length - next);
    const packetsInChunk = packets / chunks.length;
    return Promise.resolve(
      Object.fromEntries(Object.entries(ofChunk).map(([figure, value]) => [figure, value / packetsInChunk])),
    );
  },
} satisfies Table;
