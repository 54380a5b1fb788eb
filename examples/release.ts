/**
 * Sends a firmware image of 1 MiB and its SHA-256, both retained, through buffers of two kilobytes: what is sent is
 * read where it lies, and read again if it has to be sent again. examples/update.ts takes it.
 */
import mqtt from "mcu-mqtt";
import { withStreams } from "mcu-mqtt/streams";
import { print, tmr } from "#device";
import { crypto } from "#hash";

const LENGTH = 1048576;
const RETRY_MS = 3000;

/** Stands for a file or for the flash: bytes that do not repeat before 16 megabytes. */
const image = {
  byteLength: LENGTH,
  read(offset: number, bytes: Uint8Array, start: number, end: number): number {
    for (let i = start, at = offset; i < end; i++, at++) bytes[i] = (at ^ (at >> 8) ^ (at >> 16)) & 255;
    return end - start;
  },
};

function digest(): string {
  const hash = crypto.new_hash("SHA256");
  const piece = new Uint8Array(512);
  for (let offset = 0; offset < LENGTH; offset += piece.length) {
    image.read(offset, piece, 0, piece.length);
    hash.update(piece);
  }
  const bytes = hash.finalize();
  let hex = "";
  for (let i = 0; i < bytes.length; i++) hex += (bytes[i] < 16 ? "0" : "") + bytes[i].toString(16);
  return hex;
}

// 512 and 1,024 bytes, and pieces of 512: two kilobytes of buffers.
const options = { rxCapacity: 512, txCapacity: 1024, maxMessageLength: 512, maxOperations: 8, receiveMaximum: 8 };
const m = withStreams(mqtt.Client("releaser", 30, "user", "password", 0, options), 512);

let isAccepted = false;
let acknowledged = 0;

function send(): void {
  // What was accepted is sent again by the client, not by us.
  if (isAccepted) return;
  isAccepted = m.publish("/firmware/sha256", digest(), 1, 1) && m.publishFrom("/firmware/image", image, 1, 1);
}

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("puback", () => {
  if (++acknowledged < 2) return;
  print("released");
  m.close();
});
m.on("connect", () => {
  print("connected");
  send();
});
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
m.on("offline", () => {
  print("offline");
  if (acknowledged < 2) connectLater();
});

connect();
