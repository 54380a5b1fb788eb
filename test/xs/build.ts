/** Compiles the XS engine for the tests on it, unless that was done; where it cannot be, those tests are left out. */
import { build, isBuilt } from "./machine.js";

if (!isBuilt()) {
  console.log("Compiling the XS engine, once, which takes about half a minute ...");
  try {
    build();
  } catch (error) {
    console.log(`No tests on XS: it needs make and a C compiler (gcc 10 or newer, or clang).\n${String(error)}`);
    // In CI nothing is left out.
    if (process.env["MCU_MQTT_FULL"]) process.exitCode = 1;
  }
}
