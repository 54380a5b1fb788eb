/** The examples' Wi-Fi on doubles of the SDK's modules: what happens at boot, at a loss, and when nothing is found. */
import { beforeEach, expect, it, jest } from "@jest/globals";

/** As modules/io/wifi of the SDK: it throws where it does, and tells what changed. */
class WiFi {
  static atBoot = 200;
  static last: WiFi;
  connection = WiFi.atBoot;
  address = "192.0.2.1";
  readonly calls: string[] = [];
  private readonly onChanged: () => void;

  constructor(options: { onChanged: () => void }) {
    this.onChanged = options.onChanged;
    WiFi.last = this;
  }

  connect({ SSID }: { SSID: string }): void {
    if (this.connection === 300) throw new Error("already connecting");
    this.calls.push(`connect ${SSID}`);
    this.connection = 300;
  }

  disconnect(): void {
    this.calls.push("disconnect");
    this.connection = 200;
  }

  change(connection: number): void {
    this.connection = connection;
    this.onChanged();
  }
}

const timers: (() => void)[] = [];
const double = (name: string, value: unknown): unknown =>
  jest.unstable_mockModule(name, () => ({ default: value }), { virtual: true });
double("embedded:network/interface/wifi", WiFi);
double("mc/config", { wifi: "net", passphrase: "secret" });
double("sntp", class {});
double("time", {});
double("timer", { set: (callback: () => void) => timers.push(callback) });
Object.assign(globalThis, { trace: () => undefined });

// Not by a name that the compiler follows: its modules are a board's.
const path = "../examples/wifi-moddable.js";
const { default: setup } = (await import(path)) as { default: (done: () => void) => void };

let starts = 0;

beforeEach(() => {
  WiFi.atBoot = 200;
  starts = 0;
  timers.length = 0;
});

it("starts the program when there is an address, once", () => {
  setup(() => starts++);
  WiFi.last.change(400);
  expect(starts).toBe(0);
  for (let i = 0; i < 2; i++) WiFi.last.change(500);
  expect(starts).toBe(1);
  expect(WiFi.last.calls).toEqual(["connect net"]);
});

it("connects again when the network was not found, or is lost", () => {
  setup(() => starts++);
  for (let i = 0; i < 3; i++) {
    WiFi.last.change(200);
    timers.shift()!();
  }
  WiFi.last.change(500);
  WiFi.last.change(200);
  timers.shift()!();
  expect(WiFi.last.calls).toEqual(Array(5).fill("connect net"));
  expect(starts).toBe(1);
});

it.each([300, 400, 500])("takes its network where the board is with another at boot, in state %d", (atBoot) => {
  WiFi.atBoot = atBoot;
  setup(() => starts++);
  expect(WiFi.last.calls).toEqual(["disconnect", "connect net"]);
  // The end of the other one is told behind that.
  WiFi.last.change(200);
  WiFi.last.change(500);
  timers.shift()!();
  expect(WiFi.last.calls).toEqual(["disconnect", "connect net"]);
  expect(starts).toBe(1);
});

it("does not connect twice when the network is told to be gone twice", () => {
  setup(() => starts++);
  for (let i = 0; i < 2; i++) WiFi.last.change(200);
  for (const timer of timers.splice(0)) timer();
  expect(WiFi.last.calls).toEqual(["connect net", "connect net"]);
});
