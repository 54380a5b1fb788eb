/**
 * Takes a firmware image of any size through buffers of two kilobytes: each piece goes to the flash as it comes, and
 * the broker waits while a sector is written. The SHA-256 of the image comes beside it; examples/release.ts sends both.
 */
import mqtt from "mcu-mqtt";
import { print, tmr } from "#device";
import { crypto } from "#hash";

const IMAGE = "/firmware/image";
const DIGEST = "/firmware/sha256";
const SECTOR = 65536;
/** Stands for the time in which a sector is erased and written. */
const WRITE_MS = 50;
const RETRY_MS = 3000;

// 1,536 and 512 bytes: two kilobytes of buffers.
const options = { rxCapacity: 1536, txCapacity: 512, maxMessageLength: 512, maxOperations: 8, receiveMaximum: 8 };
const m = mqtt.Client("updater", 30, "user", "password", 0, options);

let expected = "";
let found = "";
let hash = crypto.new_hash("SHA256");
let written = 0;
let pauses = 0;

function toHex(bytes: Uint8Array): string {
  let hex = "";
  for (let i = 0; i < bytes.length; i++) hex += (bytes[i] < 16 ? "0" : "") + bytes[i].toString(16);
  return hex;
}

/** Stands for the flash: `client` is not to bring more while a sector is being written. */
function write(client: typeof m, bytes: Uint8Array): void {
  const isSectorFull = Math.floor((written + bytes.length) / SECTOR) > Math.floor(written / SECTOR);
  written += bytes.length;
  if (!isSectorFull) return;
  pauses++;
  client.pause();
  tmr.create().alarm(WRITE_MS, tmr.ALARM_SINGLE, () => client.resume());
}

function verify(): void {
  if (expected === "" || found === "") return;
  print(found === expected ? "verified " + found : "damaged: " + found + ", not " + expected);
  m.publish("/firmware/state", found === expected ? "verified" : "damaged", 1, 0);
}

m.on("data", (client, topic, bytes, offset, total) => {
  if (topic !== IMAGE) return;
  if (offset === 0) {
    // The first piece, or the first of another try: a connection was lost in the middle.
    hash = crypto.new_hash("SHA256");
    written = pauses = 0;
    found = "";
  }
  hash.update(bytes);
  write(client, bytes);
  if (written < total) return;
  found = toHex(hash.finalize());
  print("image of " + total + " bytes, " + pauses + " pauses");
  verify();
});

m.on("message", (_client, topic, data: string) => {
  if (topic !== DIGEST) return;
  expected = data;
  verify();
});

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("connect", () => {
  print("connected");
  m.subscribe({ [DIGEST]: 1, [IMAGE]: 1 });
});
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
m.on("offline", () => {
  print("offline");
  connectLater();
});

connect();
