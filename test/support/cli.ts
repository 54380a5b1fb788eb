/**
 * The command line as its users start it: built once for a suite, in a folder of its own, and run as a process of its
 * own.
 */
import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { rollup } from "rollup";
import type { OutputOptions, RollupOptions } from "rollup";
import { Signal } from "./signal.js";

const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");

/** A built command line. */
export class Cli {
  /** Where it is, and where tests may put files. */
  readonly folder: string;
  readonly #programs: Program[] = [];

  static async build(): Promise<Cli> {
    const workspace = mkdtempSync(join(tmpdir(), "mcu-mqtt-cli-"));
    const folder = join(workspace, "cli");
    const path = pathToFileURL(join(ROOT, "cli", "rollup.config.js")).href;
    const { default: config } = (await import(path)) as { default: RollupOptions };
    const bundle = await rollup(config);
    await bundle.write({ ...(config.output as OutputOptions), file: join(folder, "dist", "main.js") });
    await bundle.close();
    mkdirSync(join(folder, "bin"));
    // Where npm has put what the program imports: a version that the project's tools use, too, or its own.
    symlinkSync(join(ROOT, "node_modules"), join(workspace, "node_modules"));
    const own = join(ROOT, "cli", "node_modules");
    if (existsSync(own)) symlinkSync(own, join(folder, "node_modules"));
    copyFileSync(join(ROOT, "cli", "bin", "mcu-mqtt.js"), join(folder, "bin", "mcu-mqtt.js"));
    copyFileSync(join(ROOT, "cli", "package.json"), join(folder, "package.json"));
    return new Cli(folder);
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** The program and its first arguments, for a shell. */
  get command(): string {
    return `'${process.execPath}' '${join(this.folder, "bin", "mcu-mqtt.js")}'`;
  }

  /** Starts `mcu-mqtt` with these arguments. */
  start(args: string[], env: Record<string, string> = {}): Program {
    return this.startProgram(process.execPath, [join(this.folder, "bin", "mcu-mqtt.js"), ...args], env);
  }

  /** Starts another program, or a shell, with the folder as its working directory. */
  startProgram(name: string, args: string[], env: Record<string, string> = {}): Program {
    const program = new Program(name, args, this.folder, env);
    this.#programs.push(program);
    return program;
  }

  /** Runs `mcu-mqtt` with these arguments, and `input` as its standard input, up to its end. */
  async run(args: string[], input: string | Uint8Array = "", env: Record<string, string> = {}): Promise<Program> {
    const program = this.start(args, env);
    program.process.stdin.end(input);
    await program.ended();
    return program;
  }

  /** Ends what still runs. */
  end(): void {
    for (const program of this.#programs.splice(0)) program.process.kill("SIGKILL");
  }

  dispose(): void {
    this.end();
    rmSync(dirname(this.folder), { recursive: true, force: true });
  }
}

/** A process, and what it has written so far. */
export class Program {
  readonly process: ChildProcessWithoutNullStreams;
  stderr = "";
  /** The exit code; undefined while it runs, null when a signal ended it. */
  code: number | null | undefined = undefined;
  #stdout: Buffer[] = [];
  #written = 0;
  readonly #signal = new Signal();
  readonly #title: string;

  constructor(name: string, args: string[], folder: string, env: Record<string, string>) {
    this.#title = `${name} ${args.join(" ")}`;
    const own = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("MCU_MQTT_")));
    this.process = spawn(name, args, { cwd: folder, env: { ...own, ...env } });
    // A program that has ended does not read what is written to it.
    this.process.stdin.on("error", () => undefined);
    this.process.stdout.on("data", (chunk: Buffer) => {
      this.#stdout.push(chunk);
      this.#written += chunk.length;
      this.#signal.notify();
    });
    this.process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
      this.#signal.notify();
    });
    this.process.on("close", (code) => {
      this.code = code;
      this.#signal.notify();
    });
  }

  /** What has come from its standard output. */
  get stdout(): Buffer {
    if (this.#stdout.length !== 1) this.#stdout = [Buffer.concat(this.#stdout)];
    return this.#stdout[0];
  }

  /** What it said, and its exit code. */
  get result(): { code: number | null | undefined; stdout: string; stderr: string } {
    return { code: this.code, stdout: this.stdout.toString(), stderr: this.stderr };
  }

  /** What it said, a line each, without the client identifier. */
  get lines(): string[] {
    return this.stderr.split("\n").filter((line) => line !== "").map((line) => line.replace(/^Client \S+ /, "Client ID "));
  }

  ended(): Promise<void> {
    return this.until(() => this.code !== undefined, "its end");
  }

  /** Resolves when standard error has `text`. */
  said(text: string): Promise<void> {
    return this.until(() => this.stderr.includes(text), `"${text}" on standard error`);
  }

  /** Resolves when so many bytes have come from standard output. */
  wrote(length: number): Promise<void> {
    return this.until(() => this.#written >= length, `${length} bytes on standard output`);
  }

  /** Resolves as soon as `condition` holds; rejects when the program ends before. */
  until(condition: () => boolean, what: string): Promise<void> {
    const described = (): string => {
      return `${what} of ${this.#title}\n${this.stdout.toString().slice(-2000)}\n${this.stderr.slice(-2000)}`;
    };
    const holds = (): boolean => {
      if (condition()) return true;
      if (this.code !== undefined) throw new Error(`ended with ${this.code} before ${described()}`);
      return false;
    };
    return this.#signal.until(holds, described);
  }
}
