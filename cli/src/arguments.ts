/**
 * The syntax of the command line: which options a command has, and their values as they were written. Knows nothing of
 * what they mean.
 */
import { Command, CommanderError, Option } from "commander";
import { Failure, printable } from "./failure.js";
import { countValues } from "./properties.js";

export type CommandName = "pub" | "sub" | "connect";

/**
 * What was written: a text, the texts of an option that may be repeated, whether a switch is on; of `--property`, the
 * texts of each.
 */
export type Values = Record<string, string | string[] | string[][] | boolean | undefined>;

/** Options that take a text. A `...` says that they may be repeated. */
const COMMON_TEXTS = [
  "-h, --host <host>",
  "-p, --port <port>",
  "-I, --iface <iface>",
  "-V, --protocol-version <version>",
  "-u, --username <name>",
  "-P, --password <password>",
  "--password-file <file>",
  "-C, --clientid <id>",
  "-k, --keepalive <seconds>",
  "-D, --property <packet> <name> <value>",
  "--session-expiry <seconds>",
  "--auth-method <method>",
  "-L, --url <url>",
  "--will-topic <topic>",
  "--will-payload <payload>",
  "--will-qos <qos>",
  "--ws-path <path>",
  "--ws-header <header...>",
  "--tls-version <version>",
  "--CAfile <file>",
  "--cert <file>",
  "--key <file>",
  "--passphrase <passphrase>",
  "--sni <name>",
  "--alpn <protocol>",
  "--max-inflight <count>",
  "--reconnect <count>",
  "--reconnect-delay <seconds>",
  "-W, --timeout <seconds>",
];
const COMMON_SWITCHES = [
  "--will-retain",
  "--enable-websocket",
  "--enable-ssl",
  "--insecure",
  "--persistent",
  "--debug",
  "--quiet",
  "--help",
];
const TEXTS: Record<CommandName, string[]> = {
  pub: [
    "-t, --topic <topic...>",
    "-q, --qos <qos>",
    "-m, --payload <payload>",
    "-f, --file <file>",
    "--hex <digits>",
    "--base64 <text>",
    "--repeat <count>",
    "--repeat-delay <seconds>",
  ],
  sub: [
    "-t, --topic <topic...>",
    "-q, --qos <qos>",
    "-F, --format <format>",
    "--print <form>",
    "--count <count>",
    "--retain-handling <value>",
  ],
  connect: [],
};
const SWITCHES: Record<CommandName, string[]> = {
  pub: ["-r, --retain", "-s, --stdin", "-l, --stdin-lines"],
  sub: [
    "-v, --verbose",
    "-N, --omit-newline",
    "-R, --ignore-retained",
    "--json",
    "--retain-as-publish",
    "--no-local",
  ],
  connect: [],
};

/**
 * Splits the arguments behind the name of the command.
 *
 * @returns values under their long names in camel case, and what is no option (a URL) as `positional`
 * @throws Failure for an option that is unknown or has no value
 */
export function readArguments(command: CommandName, args: string[]): Values {
  const texts = [...COMMON_TEXTS, ...TEXTS[command]].map((flags) => new Option(flags.replace("...", "")));
  const switches = [...COMMON_SWITCHES, ...SWITCHES[command]].map((flags) => new Option(`${flags} [value]`));
  const parser = new Command(command)
    .argument("[url]")
    .helpOption(false)
    .allowExcessArguments(false)
    .combineFlagAndOptionalValue(false)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const repeated = [...COMMON_TEXTS, ...TEXTS[command]].filter((flags) => flags.includes("..."));
  for (const option of texts) {
    const isRepeated = repeated.some((flags) => flags.includes(`${option.long!} `));
    const collect = (value: string, before?: string[]): string[] => [...(before ?? []), value];
    parser.addOption(isRepeated ? option.argParser(collect) : option);
  }
  for (const option of switches) {
    // "--no-local" is the name of a switch like others, not the opposite of one.
    option.negate = false;
    parser.addOption(option);
  }
  const property: string[][] = [];
  try {
    parser.parse(spellOut(command, args, texts, switches, property), { from: "user" });
  } catch (error) {
    throw error instanceof CommanderError ? new Failure(explain(error, command)) : error;
  }
  const values: Values = { ...parser.opts<Values>(), property, positional: parser.args[0] };
  for (const option of switches) {
    const value = values[option.attributeName()];
    if (value !== undefined) values[option.attributeName()] = asSwitch(option.long!, value);
  }
  return values;
}

/**
 * What the parser does not know. The value of a switch may be left out, and then what follows it is not its value
 * unless it looks like one: each is written as `--name=value`. A `--property` has several values, which go to
 * `properties` instead.
 */
function spellOut(
  command: CommandName,
  args: string[],
  texts: Option[],
  switches: Option[],
  properties: string[][],
): string[] {
  const find = (options: Option[], flag: string): Option | undefined => {
    return options.find(({ short, long }) => flag === short || flag === long);
  };
  const result: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === "--") return [...result, ...args.slice(i)];
    const letters = /^-[^-]/.test(arg) ? arg.slice(1) : "";
    // Of letters behind one "-", those up to the first that takes a text, which has the rest.
    const text = [...letters].findIndex((letter) => find(texts, `-${letter}`) !== undefined);
    const [name, ...rest] = arg.split("=");
    const taker = find(texts, letters === "" ? name : `-${letters[text]}`);
    const attached = letters === "" ? rest.join("=") : letters.slice(text + 1);
    const last = letters === "" ? arg : `-${letters.at(-1)!}`;
    const option = text < 0 ? find(switches, last) : undefined;
    if (option !== undefined) {
      if (letters.length > 1) result.push(arg.slice(0, -1));
      const hasValue = i + 1 < args.length && isSwitchValue(args[i + 1]);
      result.push(`${option.long!}=${hasValue ? args[++i] : "true"}`);
    } else if (taker?.long === "--property") {
      if (text > 0) result.push(arg.slice(0, text + 1));
      const [packet, property] = attached === "" ? args.slice(i + 1, i + 3) : [attached, args[i + 1]];
      i += attached === "" ? 2 : 1;
      const count = countValues(command, packet, property);
      properties.push([packet, property, ...args.slice(i + 1, i + 1 + count)]);
      i += count;
    } else {
      result.push(arg);
      const takesNext = taker !== undefined && (letters === "" ? arg === name : attached === "");
      if (takesNext && i + 1 < args.length) result.push(args[++i]);
    }
  }
  return result;
}

function isSwitchValue(value: string): boolean {
  return ["true", "false", "1", "0"].includes(value);
}

function asSwitch(name: string, value: unknown): boolean {
  // Of several letters behind one "-" those in front have none.
  if (value === true) return true;
  if (isSwitchValue(value as string)) return value === "true" || value === "1";
  throw new Failure(`${name} must be true or false, or have no value`);
}

/** What commander found, without the values that it repeats: they may be secrets. */
function explain(error: CommanderError, command: CommandName): string {
  const seeHelp = `; "mcu-mqtt ${command} --help" lists what there is`;
  const found = /'([^']*)'/.exec(error.message)?.[1] ?? "";
  const flag = printable(found.startsWith("--") ? found.replace(/=.*/s, "") : found.slice(0, 2));
  if (error.code === "commander.unknownOption") {
    const suggestion = /\(Did you mean (.*)\?\)/.exec(error.message)?.[1];
    return `unknown option ${flag}${suggestion === undefined ? "" : ` (did you mean ${suggestion}?)`}${seeHelp}`;
  }
  if (error.code === "commander.optionMissingArgument") return `${found.split(" <")[0]} needs a value${seeHelp}`;
  if (error.code === "commander.excessArguments") {
    return `one URL at the most may stand beside the options${seeHelp}`;
  }
  return messageOfCommander(error);
}

function messageOfCommander(error: CommanderError): string {
  return error.message.replace(/^error: /, "");
}
