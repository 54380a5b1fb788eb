/** The codec of MQTT.js as MQTT.js uses it for sending: pieces of the packet are written to a stream. */
import { writeToStream } from "mqtt-packet";
import type { Contestant } from "./contestant.js";
import { packetOf } from "./mqtt-packet.js";

type Piece = string | Uint8Array;

export default {
  name: "mqtt-packet to a stream",
  given: "writeToStream() into an object that only counts the bytes of the pieces; one packet object for all.",

  encoder(message) {
    const packet = packetOf(message);
    let length = 0;
    const counter = {
      write(piece: Piece): boolean {
        length += piece.length;
        return true;
      },
    } as unknown as NodeJS.WritableStream;
    return {
      encode() {
        packet.topic = message.topic;
        length = 0;
        writeToStream(packet, counter);
        return length;
      },
      packet() {
        const pieces: Buffer[] = [];
        const write = (piece: Piece): boolean => pieces.push(Buffer.from(piece as string)) > 0;
        packet.topic = message.topic;
        writeToStream(packet, { write } as unknown as NodeJS.WritableStream);
        return Buffer.concat(pieces);
      },
    };
  },
} satisfies Contestant;
