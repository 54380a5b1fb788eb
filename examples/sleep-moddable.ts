/**
 * NodeMCU's `node.dsleep` on the Moddable SDK. It is "#sleep" in firmware. The SDK (8.2.3) has no deep sleep for ESP32
 * and ESP8266; examples/sleep/deep-sleep.c calls that of their own SDKs.
 */
import deepSleep from "deep-sleep";

export const node = Object.freeze({
  /** Everything in memory is lost. `us`: when the device is to wake up, in microseconds. */
  dsleep(us: number): void {
    deepSleep(us / 1000);
  },
});
