import { afterAll, describe, expect, it } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { openStore } from "mcu-mqtt/store";
import ts from "typescript";
import { seeded } from "./support/session-harness.js";
import { bytesOf, stored, testStoreContract } from "./support/store-contract.js";

const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-store-"));
let count = 0;
/** How often a writer is killed. */
const KILLS = 60;
const newPath = (): string => join(folder, `session-${count++}`);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

testStoreContract("a file", () => {
  const path = newPath();
  return { open: () => openStore(path), capacity: undefined };
});

const itPosix = process.platform === "win32" ? it.skip : it;

describe("Node's store", () => {
  itPosix("lets nobody but the owner read the file, whatever it was before", () => {
    const path = newPath();
    writeFileSync(path, "old", { mode: 0o644 });
    writeFileSync(`${path}.tmp`, "stale", { mode: 0o666 });
    chmodSync(`${path}.tmp`, 0o666);
    openStore(path).write(bytesOf(9), 0, 9);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("removes the temporary file that a power cut left behind, with the next write and with clear", () => {
    const path = newPath();
    for (const change of [() => openStore(path).write(bytesOf(9), 0, 9), () => openStore(path).clear()]) {
      writeFileSync(`${path}.tmp`, bytesOf(7000));
      change();
      expect(existsSync(`${path}.tmp`)).toBe(false);
    }
    expect(existsSync(path)).toBe(false);
  });

  it("touches nothing before it is used, and throws where the folder is missing", () => {
    const path = join(folder, "missing", "session");
    const store = openStore(path);
    expect(store.read(new Uint8Array(0))).toBe(0);
    expect(() => store.write(bytesOf(1), 0, 1)).toThrow("ENOENT");
    expect(readdirSync(folder)).not.toContain("missing");
    expect(() => openStore("")).toThrow("openStore: empty path");
  });

  it("keeps to its path when the working directory changes", () => {
    const cwd = process.cwd();
    try {
      process.chdir(folder);
      const store = openStore("here");
      process.chdir(tmpdir());
      store.write(bytesOf(9), 0, 9);
    } finally {
      process.chdir(cwd);
    }
    expect(new Uint8Array(readFileSync(join(folder, "here")))).toEqual(bytesOf(9));
  });

  it("has a whole value whenever its process is killed", async () => {
    const path = newPath();
    const module = join(folder, "store.mjs");
    const source = resolve(dirname(fileURLToPath(import.meta.url)), "..", "hal", "node-store.ts");
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    writeFileSync(module, ts.transpileModule(readFileSync(source, "utf8"), { compilerOptions }).outputText);
    // Each value is of one byte, repeated; the byte tells the length.
    const program = join(folder, "writer.mjs");
    writeFileSync(program, `
      import { writeSync } from "node:fs";
      import { openStore } from "./store.mjs";
      const store = openStore(${JSON.stringify(path)});
      for (let count = Number(process.argv[2]); ; count++) {
        const byte = count % 251;
        store.write(new Uint8Array(1 + byte * 25).fill(byte), 0, 1 + byte * 25);
        writeSync(1, ".");
      }`);
    const random = seeded(1);
    const values = new Set<number>();
    for (let kill = 0; kill < KILLS; kill++) {
      const args = [program, String(random.below(251))];
      const writer = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      let left = 1 + random.below(6);
      writer.stdout.on("data", (dots: Buffer) => {
        left -= dots.length;
        if (left <= 0) writer.kill("SIGKILL");
      });
      await once(writer, "exit");
      const value = stored({ open: () => openStore(path), capacity: undefined });
      expect(value).toEqual(new Uint8Array(1 + value[0] * 25).fill(value[0]));
      values.add(value[0]);
    }
    expect(values.size).toBeGreaterThan(KILLS / 10);
  }, 120_000);
});

