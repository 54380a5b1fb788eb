/**
 * Suites that need a program which may not be installed. Such a suite is left out where the program is missing, and the
 * run says so at its end (skipped-reporter.js); with MCU_MQTT_FULL set nothing may be left out, and it fails instead.
 */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "@jest/globals";
import { isBuilt } from "../xs/machine.js";

/** Where servers are installed, which is not on every user's PATH. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];

/** How the title of a suite that was left out ends; skipped-reporter.js looks for it. */
const NOT_RUN = "not run, for lack of: ";

/** What "npm run build:xs" makes; the name also stands in skipped-reporter.js. */
export const XS_ENGINE = "the XS engine";

/** The path of `program`, or undefined where it is not installed. */
export function findProgram(program: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).concat(SYSTEM_FOLDERS);
  const suffixes = process.platform === "win32" ? [".exe", ".cmd"] : [""];
  for (const folder of folders.filter((name) => name !== "")) {
    for (const suffix of suffixes) {
      const path = join(folder, program + suffix);
      try {
        accessSync(path, constants.X_OK);
        if (statSync(path).isFile()) {
          return path;
        }
      } catch {
        // Not there, or not to be run: look further.
      }
    }
  }
  return undefined;
}

function isThere(program: string): boolean {
  return program === XS_ENGINE ? isBuilt() : findProgram(program) !== undefined;
}

/**
 * `describe` for a suite that needs these programs, or `XS_ENGINE`.
 *
 * @example needs("mosquitto", "tshark")("traffic of a whole run", () => { ... });
 */
export function needs(...programs: string[]): (title: string, body: () => void) => void {
  const missing = programs.filter((program) => !isThere(program));
  if (missing.length === 0) {
    return (title, body) => {
      describe(title, body);
    };
  }
  if (process.env["MCU_MQTT_FULL"]) {
    return (title) => {
      it(title, () => {
        throw new Error(`MCU_MQTT_FULL is set, but not installed: ${missing.join(", ")}`);
      });
    };
  }
  const leaveOut = describe.skip;
  return (title, body) => {
    leaveOut(`${title} (${NOT_RUN}${missing.join(", ")})`, body);
  };
}
