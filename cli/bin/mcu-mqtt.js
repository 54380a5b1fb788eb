#!/usr/bin/env node
/** Starts the command line that "npm run build" has made. */
import { existsSync } from "node:fs";

const main = new URL("../dist/main.js", import.meta.url);
if (existsSync(main)) {
  const { run } = await import(main.href);
  await run(process.argv.slice(2));
} else {
  console.error('mcu-mqtt: not built yet: run "npm run build" in the folder of the project');
  process.exitCode = 1;
}
