/**
 * A sensor that is asleep for most of its life: it wakes up, sends one reading at QoS 2, and sleeps deeply again, which
 * takes everything from its memory. What the broker has not confirmed by then is kept in a store, and goes on when the
 * device wakes up the next time: no reading is lost, and none arrives twice.
 */
import mqtt from "mcu-mqtt";
import { withSnapshot } from "mcu-mqtt/snapshot";
import { openStore } from "mcu-mqtt/store";
import { print, tmr } from "#device";
import { node } from "#sleep";

const SLEEP_US = 60000000;
/** Longest time awake. What is not delivered by then waits for the next time. */
const AWAKE_MS = 20000;
/** What the network stack may take to send the last packet, once the connection is closed. */
const LINGER_MS = 2000;
/** Bytes in front of the snapshot: how many readings there were. */
const COUNT = 2;

const store = openStore("storage");
const bytes = new Uint8Array(1200);

// cleansession 0: the broker keeps its half of the session. queueOffline: a reading is accepted before there is one.
const options = { queueOffline: true, txCapacity: 800, maxOperations: 16, receiveMaximum: 16 };
const m = withSnapshot(mqtt.Client("sleeper", 30, "user", "password", 0, options));

const stored = store.read(bytes);
const kept = stored < COUNT ? 0 : m.restore(bytes.subarray(COUNT, stored));
if (kept < 0) print("snapshot refused: " + kept);
else print("woke up, readings kept: " + kept);

const count = stored < COUNT ? 0 : (bytes[0] << 8) | bytes[1];

// Stands for a thermometer. The number shows that none is missing.
if (m.publish("/sleeper/temperature", count + " 21.5", 2, 0)) countReading();
else print("no room: the oldest readings first");

m.on("connect", () => print("connected"));
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  sleep();
});
m.on("offline", () => tmr.create().alarm(LINGER_MS, tmr.ALARM_SINGLE, sleep));

m.connect("192.168.11.118", 1883, 0);

m.drain((client, drained) => {
  print(drained ? "delivered" : "not delivered yet");
  if (client.connected) {
    client.close();
  } else {
    client.abort();
    sleep();
  }
}, AWAKE_MS);

function countReading(): void {
  bytes[0] = (count + 1) >> 8;
  bytes[1] = (count + 1) & 255;
}

/** Snapshot and sleep in one turn: what came between them would be forgotten. */
function sleep(): void {
  store.write(bytes, 0, COUNT + m.snapshot(bytes.subarray(COUNT)));
  print("sleeps");
  node.dsleep(SLEEP_US);
}
