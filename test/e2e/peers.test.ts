/** Messages exchanged with mosquitto's own clients: what one side sends the other receives, byte for byte. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { HOST, PASSWORD, USERNAME } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import { Mosquitto } from "../support/mosquitto.js";
import { findProgram, needs } from "../support/needs.js";
import { Signal } from "../support/signal.js";
import { Device, removeDevices, unique } from "./device.js";

jest.setTimeout(60000);

const LEVELS = [0, 1, 2] as const;

const PAYLOADS: Record<string, Buffer> = {
  "text": Buffer.from("21.5 °C, 温度"),
  "every byte": Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  "line ends": Buffer.from("\r\n\n\0\r"),
  "128 bytes": Buffer.alloc(128, 0xff),
  "20,000 bytes": Buffer.from(Array.from({ length: 20000 }, (_, i) => (i * 37) & 255)),
};

needs("mosquitto", "mosquitto_passwd", "mosquitto_pub", "mosquitto_sub")("with mosquitto's clients", () => {
  let broker: Mosquitto;
  let folder: string;
  const signal = new Signal();
  const processes = new Set<ChildProcess>();

  beforeAll(async () => {
    broker = await Mosquitto.start();
    folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-peers-"));
  });

  afterEach(() => {
    removeDevices();
    for (const process of processes) process.kill("SIGKILL");
  });

  afterAll(async () => {
    await broker?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs a program against the broker, with `input`; resolves with its output when it ends. */
  const run = (program: string, args: string[], input: string | Buffer = "", port = broker.port): Promise<Buffer> => {
    const process = spawn(findProgram(program)!, ["-h", HOST, "-p", String(port), ...args]);
    processes.add(process);
    const out: Buffer[] = [];
    let errors = "";
    let status: number | null | undefined;
    process.stdout.on("data", (bytes: Buffer) => out.push(bytes));
    process.stderr.on("data", (bytes: Buffer) => (errors += String(bytes)));
    process.on("close", (code) => {
      processes.delete(process);
      status = code;
      signal.notify();
    });
    process.stdin.on("error", () => {});
    process.stdin.end(input);
    return signal
      .until(() => status !== undefined, () => `${program} ends; it printed ${out.join("")} ${errors}`)
      .then(() => {
        if (status !== 0) throw new Error(`${program}: status ${String(status)}: ${errors}`);
        return Buffer.concat(out);
      });
  };

  interface Line {
    topic: string;
    qos: number;
    retain: number;
    payload: string;
  }

  /** What mosquitto_sub receives until it has `count` messages. Resolves when it has subscribed. */
  const subscribe = async (count: number, args: string[], port?: number): Promise<{ lines: Promise<Line[]> }> => {
    const id = unique("peer");
    const format = ["-F", '{"topic":"%t","qos":%q,"retain":%r,"payload":"%x"}', "-C", String(count)];
    const output = run("mosquitto_sub", ["-i", id, ...format, ...args], "", port);
    const lines = output.then((bytes) =>
      String(bytes).trimEnd().split("\n").map((line) => JSON.parse(line) as Line),
    );
    await broker.logged(`Sending SUBACK to ${id}`);
    return { lines };
  };

  describe("what the client publishes, mosquitto_sub receives", () => {
    it.each(Object.keys(PAYLOADS))("%s", async (name) => {
      const topic = unique("to-peer");
      const { lines } = await subscribe(3, ["-q", "2", "-t", topic]);
      const device = await new Device().connect(broker.port);
      for (const qos of LEVELS) await device.publish(topic, PAYLOADS[name], qos);
      const came = (await lines).sort((a, b) => a.qos - b.qos);
      expect(came).toEqual(LEVELS.map((qos) => ({ topic, qos, retain: 0, payload: PAYLOADS[name].toString("hex") })));
    });

    it("nothing at all, as an empty message", async () => {
      const topic = unique("to-peer");
      const { lines } = await subscribe(1, ["-q", "1", "-t", topic]);
      const device = await new Device().connect(broker.port);
      await device.publish(topic, "", 1);
      expect(await lines).toEqual([{ topic, qos: 1, retain: 0, payload: "" }]);
    });

    it("what was retained", async () => {
      const topic = unique("größe");
      const device = await new Device().connect(broker.port);
      await device.publish(topic, "state: 温", 1, true);
      const { lines } = await subscribe(1, ["-q", "2", "-t", topic]);
      expect(await lines).toEqual([{ topic, qos: 1, retain: 1, payload: Buffer.from("state: 温").toString("hex") }]);
    });

    it("the will", async () => {
      const topic = unique("will");
      const { lines } = await subscribe(1, ["-q", "2", "-t", topic]);
      const device = new Device();
      device.client.lwt(topic, PAYLOADS["every byte"], 2);
      await device.connect(broker.port);
      device.client.abort();
      expect(await lines).toEqual([{ topic, qos: 2, retain: 0, payload: PAYLOADS["every byte"].toString("hex") }]);
    });

    it("a thousand in their order, through a login", async () => {
      const topic = unique("to-peer");
      const login = ["-u", USERNAME, "-P", PASSWORD];
      const { lines } = await subscribe(1000, ["-q", "1", "-t", topic, ...login], broker.passwordPort);
      const device = await new Device({ username: USERNAME, password: PASSWORD }).connect(broker.passwordPort);
      await device.send(Array.from({ length: 1000 }, (_, i) => [topic, i, 1]));
      const came = (await lines).map(({ payload }) => Number(Buffer.from(payload, "hex")));
      expect(came).toEqual([...Array(1000).keys()]);
    });
  });

  describe("what mosquitto_pub publishes, the client receives", () => {
    const receiver = async (topic: string, qos: QoS): Promise<Device> => {
      const device = new Device({ options: { format: "buffer", maxMessageLength: 32768 } });
      await device.connect(broker.port);
      await device.subscribe({ [topic]: qos });
      return device;
    };

    it.each(Object.keys(PAYLOADS))("%s", async (name) => {
      const topic = unique("from-peer");
      const device = await receiver(topic, 2);
      const path = join(folder, "payload");
      writeFileSync(path, PAYLOADS[name]);
      for (const qos of LEVELS) await run("mosquitto_pub", ["-t", topic, "-q", String(qos), "-f", path]);
      await device.receive(3);
      const rest = { topic, retain: false, dup: false };
      expect(device.messages).toEqual(LEVELS.map((qos) => ({ data: PAYLOADS[name], qos, ...rest })));
    });

    it("nothing at all", async () => {
      const topic = unique("from-peer");
      const device = await receiver(topic, 2);
      await run("mosquitto_pub", ["-t", topic, "-q", "2", "-n"]);
      await device.receive(1);
      expect(device.messages[0].data).toBeUndefined();
    });

    it("what was retained", async () => {
      const topic = unique("größe");
      await run("mosquitto_pub", ["-t", topic, "-q", "1", "-r", "-s"], "state: 温");
      const device = await receiver(topic, 2);
      await device.receive(1);
      expect(device.messages).toEqual([{ topic, data: Buffer.from("state: 温"), qos: 1, retain: true, dup: false }]);
    });

    it("a thousand in their order", async () => {
      const topic = unique("from-peer");
      const device = await receiver(topic, 2);
      const lines = Array.from({ length: 1000 }, (_, i) => `${i}\n`).join("");
      await run("mosquitto_pub", ["-t", topic, "-q", "2", "-l"], lines);
      await device.receive(1000);
      expect(device.messages.map(({ data }) => Number(data))).toEqual([...Array(1000).keys()]);
    });

    it.each(["mqttv31", "mqttv5"])("in another version of MQTT: %s", async (version) => {
      const topic = unique("from-peer");
      const device = await receiver(topic, 2);
      await run("mosquitto_pub", ["-V", version, "-t", topic, "-q", "2", "-m", "x"]);
      await device.receive(1);
      expect(device.messages).toEqual([{ topic, data: Buffer.from("x"), qos: 2, retain: false, dup: false }]);
    });

    it("over TLS, both with certificates", async () => {
      const topic = unique("from-peer");
      const { ca, client } = certificates();
      const device = new Device();
      await device.connect(broker.clientCertificatePort, { ca: ca.cert, cert: client.cert, key: client.key });
      await device.subscribe({ [topic]: 1 });
      const files = { ca: ca.cert, cert: client.cert, key: client.key };
      for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
      const tls = ["--cafile", "ca", "--cert", "cert", "--key", "key"];
      const args = tls.map((arg) => (arg.startsWith("--") ? arg : join(folder, arg)));
      await run("mosquitto_pub", [...args, "-t", topic, "-m", "x"], "", broker.clientCertificatePort);
      await device.receive(1);
    });
  });
});
