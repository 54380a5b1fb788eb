/**
 * A sensor: a reading every two seconds at QoS 1, none lost while the connection is down. It connects again by itself,
 * from the callbacks and with a timer, as NodeMCU's document advises.
 */
import mqtt from "mcu-mqtt";
import { print, tmr } from "#device";

const READING_MS = 2000;
const RETRY_MS = 3000;
/** Readings kept for later; of more than that the oldest go. */
const MOST_READINGS = 100;

// cleansession 0: what the broker has not acknowledged is sent again over the next connection.
const m = mqtt.Client("sensor", 30, "user", "password", 0);

const readings: string[] = [];
let count = 0;

/** Stands for a thermometer. */
function readTemperature(): string {
  return (20 + (count++ % 50) / 10).toFixed(1);
}

function takeReading(): void {
  if (readings.length === MOST_READINGS) readings.shift();
  readings.push(readTemperature());
  sendReadings();
}

/** A reading that is not taken, since there is no connection or no room in the queue, stays for the next time. */
function sendReadings(): void {
  while (readings.length > 0 && m.publish("/sensor/temperature", readings[0], 1, 0)) readings.shift();
}

function connect(): void {
  if (!m.connect("192.168.11.118", 1883, 0)) connectLater();
}

function connectLater(): void {
  tmr.create().alarm(RETRY_MS, tmr.ALARM_SINGLE, connect);
}

m.on("connect", () => {
  print("connected");
  sendReadings();
});
// The connection could not be established...
m.on("connfail", (_client, reason) => {
  print("failed reason: " + reason);
  connectLater();
});
// ... or it was, and is lost.
m.on("offline", () => {
  print("offline");
  connectLater();
});
m.on("puback", () => print("acknowledged"));

tmr.create().alarm(READING_MS, tmr.ALARM_AUTO, takeReading);
takeReading();
connect();
