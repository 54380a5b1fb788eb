/** The command line: what the user asks for, checked before anything is started. */
import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Credentials } from "./broker.js";
import { RemoteBroker } from "./broker.js";
import { Failure, messageOf } from "./failure.js";
import type { RunOptions } from "./scenario.js";

export interface Options extends RunOptions {
  /** Only the summary is shown. */
  quiet: boolean;
}

const DEFAULT_PROGRAM = "examples/nodemcu.ts";
const DEFAULT_SECONDS = 60;
const MAX_SECONDS = 86400;
const SEE_HELP = '; "npm start -- --help" lists what there is';

export const HELP = `\
Runs a program for mcu-mqtt as a simulated device. Shows every packet and every callback, sends it messages, takes its
connection down, and sees whether its will is published and whether it connects again.

  npm start [-- [options] [PROGRAM]]

PROGRAM           a TypeScript or JavaScript file that imports "mcu-mqtt" and "#device";
                  default: ${DEFAULT_PROGRAM}
--broker URL      use this broker instead of one in this process: mqtt://user:password@host:port, or mqtts:// for
                  TLS with verification. Whatever host and port the program names, it is led there. User and
                  password of the URL, if there are any, are used instead of the program's.
--cafile FILE     for mqtts://: the certificate authorities to trust, PEM, instead of those of Node
--pcap FILE       write the traffic of the device for Wireshark; of TLS what is inside, and no passwords
--seconds N       end the run after this time at the latest; default: ${DEFAULT_SECONDS}
--quiet           show the summary only
--help            show this

A second client, from outside, sends messages to the topics that the program subscribes to, and watches for its will.
Exit status: 0 if all went well; 1 if something failed, which is then said in one line.
`;

/**
 * Reads the arguments; undefined when help is wanted.
 *
 * @param folder what paths are relative to
 */
export function readOptions(args: string[], folder: string): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help === true) return undefined;
  if (positionals.length > 1) throw new Failure(`one program at a time, not ${positionals.length}${SEE_HELP}`);
  const name = positionals[0] ?? DEFAULT_PROGRAM;
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  const program = resolve(positionals.length === 0 ? root : folder, name);
  if (!existsSync(program)) {
    throw new Failure(`there is no program ${name} in ${folder}: name a file relative to the current directory`);
  }
  if (!statSync(program).isFile()) throw new Failure(`${name} is not a file: name the program's file`);
  return {
    program,
    name: relative(root, program).startsWith("..") ? basename(program) : relative(root, program),
    broker: readBroker(values.broker, values.cafile && resolve(folder, values.cafile)),
    pcap: values.pcap && resolve(folder, values.pcap),
    seconds: readSeconds(values.seconds),
    quiet: values.quiet === true,
  };
}

const OPTIONS = {
  broker: { type: "string" },
  cafile: { type: "string" },
  pcap: { type: "string" },
  seconds: { type: "string" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

function parse(args: string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>> {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    // Node says what is wrong in its first sentence, and then explains its syntax.
    throw new Failure(messageOf(error).split(". ")[0].replace(/\.$/, "") + SEE_HELP);
  }
}

function readSeconds(value: string | undefined): number {
  if (value === undefined) return DEFAULT_SECONDS;
  const seconds = Number(value);
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds;
  throw new Failure(`--seconds must be a number above 0, at most ${MAX_SECONDS}, not "${value}"`);
}

/** The broker of a URL. What is wrong with it is said without repeating it, since it has a password. */
function readBroker(value: string | undefined, caFile: string | undefined): RemoteBroker | undefined {
  if (value === undefined) {
    if (caFile !== undefined) throw new Failure("--cafile is for --broker mqtts://host:port only: leave it out");
    return undefined;
  }
  const isUrl = URL.canParse(value);
  const url = new URL(isUrl ? value : "none:");
  const hasMore = !/^\/?$/.test(url.pathname) || url.search !== "" || url.hash !== "";
  if (!/^mqtts?:$/.test(url.protocol) || url.hostname === "" || hasMore) {
    throw new Failure(
      "--broker must be like mqtt://user:password@host:port, or mqtts:// for TLS; " +
        "in user and password write %40 for @, %3A for :, %2F for /",
    );
  }
  const isSecure = url.protocol === "mqtts:";
  if (caFile !== undefined && !isSecure) throw new Failure("--cafile is for TLS: write --broker mqtts://host:port");
  const port = url.port === "" ? (isSecure ? 8883 : 1883) : Number(url.port);
  if (port === 0) throw new Failure("--broker must not have the port 0: write the broker's");
  const host = decode(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  return new RemoteBroker(host, port, isSecure, caFile && readCa(caFile), readCredentials(url));
}

function readCredentials(url: URL): Credentials | undefined {
  if (url.username === "" && url.password === "") return undefined;
  if (url.username === "") throw new Failure("--broker has a password without a user: write mqtt://user:password@host");
  return { username: decode(url.username), password: decode(url.password) };
}

/** A part of a URL without its percent signs; no part may have U+0000 [MQTT-1.5.3-2]. */
function decode(part: string): string {
  let text = "\0";
  try {
    text = decodeURIComponent(part);
  } catch {
    // It means nothing.
  }
  if (text.includes("\0")) throw new Failure("--broker has a % that means nothing there: write %25 for it");
  return text;
}

function readCa(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Failure(`cannot read the file of --cafile (${messageOf(error)})`);
  }
  try {
    new X509Certificate(text);
  } catch {
    throw new Failure(`the file of --cafile is not a certificate in PEM: ${path}`);
  }
  return text;
}
