/**
 * `withReconnect`: when the client tries by itself and when it must not, which broker is next, and what it asks for
 * again. Foretells each step from the calls of the application and from what was told, by rules of its own.
 */
import { withReconnect } from "../../src/optional/reconnect.js";
import type { ConnectionState, ReconnectOptions, Reconnecting } from "../../src/optional/reconnect.js";
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import type { Link } from "./link.js";
import type { Accepted } from "./monitor.js";
import { SUBSCRIBE } from "./packets.js";
import type { Random } from "./random.js";

/** Return codes of CONNACK that will be the same next time. */
const REFUSALS = [1, 2, 4, 5];
/** Reason codes of MQTT 5 that will be: what the client is or says is wrong, or another has taken its place. */
const FINAL_REASONS = [0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8e, 0x90, 0x95, 0x99, 0x9a, 0x9b];
/** Timers are late. */
const LATE_MS = 10;

type Settings = Required<Omit<ReconnectOptions, "random">>;

function drawSettings(random: Random): Settings {
  const minDelayMs = random.pick([1, 50, 500]);
  return {
    hosts: ["a", "b", "c"].slice(0, random.pick([0, 0, 1, 2, 3])).map((host) => ({ host })),
    minDelayMs,
    maxDelayMs: minDelayMs * random.pick([1, 4, 16]),
    stableMs: random.pick([0, 300, 3000]),
    maxRounds: random.pick([0, 0, 2, 4]),
    retryRefused: random.chance(50),
    maxSubscriptions: 32,
    renew: random.chance(85),
  };
}

/** The encoder of a client, as far as it matters here. */
interface Encoder {
  filters(out: Uint8Array, from: number, end: number, type: number, id: number, table: object): number;
}

class Staying implements Helper {
  private readonly _device: Device;
  private readonly _client: Client & Reconnecting;
  private readonly _settings: Settings;
  private readonly _names: string[];
  /** What `random` returned last; below 0: nothing since it was used. */
  private _draw = -1;
  /** What was told last, and when. */
  private _told: { state: ConnectionState; round: number; delayMs: number; atMs: number } | undefined;
  private _isWanted = false;
  private _isFirst = true;
  private _round = 0;
  private _failures = 0;
  /** Place of the broker that was tried last. */
  private _at = 0;
  /** The next attempt that the client makes by itself, and the earliest time of it. */
  private _next: { at: number; fromMs: number } | undefined;
  /** The application is inside `connect`; that has begun an attempt; or its attempt is to be begun later. */
  private _isStarting = false;
  private _hasOpened = false;
  private _isStartDue = false;
  private _connectedMs = 0;
  /** `connect` was told, and nothing of its end. */
  private _isUp = false;
  /** Of the session that is up, or was last: its connection, what was granted, and what was asked for again. */
  private _link: Link | undefined;
  private _granted: Record<string, number> = {};
  private readonly _renewed = new Set<string>();
  /** Filters that it has to ask for again, and those that it may. */
  private readonly _must = new Set<string>();
  private readonly _may = new Set<string>();
  /** Filters that the application has asked for since it began. */
  private readonly _asked = new Set<string>();
  /** Filters that were subscribed or unsubscribed in this session, and those of which the broker's word may be lost. */
  private readonly _touched = new Set<string>();
  /** Filters that may have been taken out of the list in the moment in which the connection was lost. */
  private readonly _open = new Set<string>();
  private readonly _unsure = new Set<string>();

  constructor(device: Device, client: Client) {
    const { random } = device.world;
    const settings = drawSettings(random);
    const { hosts, ...rest } = settings;
    this._device = device;
    this._settings = settings;
    this._names = hosts.length > 0 ? hosts.map(({ host }) => host) : ["broker"];
    this._client = withReconnect(client, {
      ...rest,
      ...(hosts.length > 0 && { hosts }),
      random: () => (this._draw = random.below(1001) / 1000),
    });
    const { hal } = device;
    this._client.onState((_, state, { round, delayMs, host }) => {
      device.hear(hal, () => `state ${state}, ${host}, round ${round}, ${delayMs} ms`, () => {
        this._told = { state, round, delayMs, atMs: device.world.nowMs };
        if (this._client.state !== state) device.fail(`reconnect: ${state} is told, ${this._client.state} is true`);
        if (this._isUp && state !== "connected") this._ended();
      });
    });
    this._client.onRenewal((_, filter, code) => {
      device.hear(hal, () => `renewed ${filter}: ${code}`, () => {
        if (code > 127) this._must.delete(filter);
      });
    });
    const { encoder } = client.connection.session as unknown as { encoder: Encoder };
    const write = encoder.filters.bind(encoder);
    const value: Encoder["filters"] = (out, from, end, type, id, table) => {
      const behind = write(out, from, end, type, id, table);
      if (behind >= 0 && type === SUBSCRIBE && !device.isCalling) this._askedAgain(table);
      return behind;
    };
    Object.defineProperty(encoder, "filters", { value });
  }

  /** Calls `connect`, as the application has to here. */
  connect(): boolean {
    const { hosts } = this._settings;
    this._isStarting = true;
    this._hasOpened = false;
    try {
      const answer = hosts.length > 0 ? this._client.connect() : this._client.connect("broker");
      if (!answer) this._device.fail("reconnect: connect says false");
    } finally {
      this._isStarting = false;
    }
    if (!this._isWanted) {
      this._isFirst = true;
      this._round = this._failures = 0;
    }
    this._isWanted = true;
    this._at = 0;
    this._next = undefined;
    this._isStartDue = !this._hasOpened;
    return true;
  }

  /** `close` or `abort` was called. */
  given(answer: boolean): void {
    if (this._isWanted && !answer) this._device.fail("reconnect: nothing to end, though it goes on");
    if (this._next !== undefined) this._device.world.count("reconnect: ended in between");
    this._isWanted = this._isStartDue = false;
    this._next = undefined;
  }

  /** The client opens a socket. */
  open(host: string): void {
    const { world } = this._device;
    const next = this._next;
    let at = 0;
    if (this._isStarting) this._hasOpened = true;
    else if (this._isStartDue) this._isStartDue = false;
    else if (next === undefined) return this._device.fail(`reconnect: an attempt at ${host} that nobody asked for`);
    else if (world.nowMs < next.fromMs) {
      return this._device.fail(`reconnect: an attempt ${next.fromMs - world.nowMs} ms too early`);
    } else {
      at = next.at;
      this._next = undefined;
    }
    if (host !== this._names[at]) this._device.fail(`reconnect: an attempt at ${host}, ${this._names[at]} is next`);
    this._at = at;
  }

  /** `connect` is told. */
  connected(): void {
    this._failures = 0;
    this._connectedMs = this._device.world.nowMs;
    this._isUp = true;
    this._begin();
    this._expect("connected");
  }

  /** `connfail` is told. */
  failed(reason: number): void {
    const { world } = this._device;
    if (!this._isWanted || this._isStartDue) return;
    const isRefused = [...REFUSALS, ...FINAL_REASONS].includes(reason);
    if (!isRefused && this._at + 1 < this._names.length) {
      world.count("reconnect: the next host");
      this._next = { at: this._at + 1, fromMs: world.nowMs };
      return this._expect("connecting");
    }
    this._give(isRefused);
  }

  /** `offline` is told. */
  ended(): void {
    if (this._isUp) this._device.fail("reconnect: offline is told, and no state before");
  }

  /** The longest time until the outcome of the attempt that the client makes next by itself; below 0: it makes none. */
  retryMs(): number {
    return this._next === undefined ? -1 : this._settings.maxDelayMs;
  }

  accepted({ kind, filters }: Accepted): void {
    if (kind === "publish") return;
    for (const filter of filters) {
      if (kind === "subscribe") this._asked.add(filter);
      if (kind === "unsubscribe" || filter in this._granted) this._open.add(filter);
      this._touched.add(filter);
      this._must.delete(filter);
    }
  }

  check(): void {
    const device = this._device;
    const before = device.links.at(-2);
    const isLast = before === undefined || before.isClosed || this._isStarting;
    if (!isLast && device.links.at(-1)?.isClosed === false) device.fail("reconnect: two sockets");
    if (!device.client.connected || device.hal.link !== this._link) return;
    this._granted = this._client.subscriptions();
    for (const filter in this._granted) {
      this._must.delete(filter);
      this._may.delete(filter);
    }
  }

  unrest(): string {
    return this._must.size === 0 ? "" : `not asked for again: ${[...this._must].join(" ")}`;
  }

  conclude(): void {
    const device = this._device;
    const { link } = device.hal;
    const subscriptions = link && device.broker.subscriptionsOn(link);
    if (subscriptions === undefined) return;
    const granted = this._client.subscriptions();
    for (const filter in granted) {
      if (this._unsure.has(filter) || subscriptions.get(filter) === granted[filter]) continue;
      device.fail(`reconnect: it says that ${filter} is granted, the broker ${subscriptions.get(filter) ?? "nothing"}`);
    }
  }

  /** A session has begun, of which nothing may have been told. */
  private _begin(): void {
    const { link } = this._device.hal;
    if (link === this._link) return;
    this._link = link;
    this._renewed.clear();
    const isPresent = link?.sessionPresent === true;
    if (this._isFirst) {
      this._must.clear();
      this._may.clear();
      if (!isPresent) this._asked.clear();
    } else if (!isPresent) {
      for (const filter in this._granted) if (!this._open.has(filter)) this._must.add(filter);
      for (const filter of this._asked) this._may.add(filter);
    } else {
      this._device.world.count("reconnect: the session is there");
    }
    if (!this._settings.renew) this._must.clear();
    if (!isPresent) {
      this._unsure.clear();
      this._granted = {};
    }
    this._open.clear();
    this._isFirst = false;
  }

  private _askedAgain(table: object): void {
    const device = this._device;
    this._begin();
    device.monitor.renewed();
    device.world.count("reconnect: asked again");
    for (const filter of Object.keys(table)) {
      const why = !this._settings.renew ? "with renew false" :
        this._renewed.has(filter) ? "twice" :
        this._may.has(filter) ? "" :
        this._link?.sessionPresent === true ? "though the session is there" : "that was not granted";
      if (why !== "") device.fail(`reconnect: ${filter} is asked for again ${why}`);
      this._renewed.add(filter);
    }
  }

  /** A session is over: that is told before `offline`, and outcomes in between. */
  private _ended(): void {
    this._isUp = false;
    const { stableMs } = this._settings;
    for (const filter of this._touched) this._unsure.add(filter);
    this._touched.clear();
    const lastedMs = this._device.world.nowMs - this._connectedMs;
    const roundIfReset = this._isWanted && !this._isStartDue ? 1 : 0;
    if (lastedMs >= stableMs && (lastedMs > stableMs + LATE_MS || this._told?.round === roundIfReset)) this._round = 0;
    if (!this._isWanted) return this._expect("idle");
    if (this._isStartDue) return this._expect("connecting");
    this._give(FINAL_REASONS.includes(this._link?.dismissed ?? 0));
  }

  /** It is to be tried again later, or not at all. */
  private _give(isRefused: boolean): void {
    const { retryRefused, maxDelayMs } = this._settings;
    if (isRefused && !retryRefused) this._stop();
    else this._fail(isRefused ? maxDelayMs : -1);
  }

  private _stop(): void {
    this._device.world.count("reconnect: stopped");
    this._isWanted = false;
    this._expect("stopped");
  }

  /** A round has failed, or a session was lost, which counts as one. */
  private _fail(fixedMs: number): void {
    const { minDelayMs, maxDelayMs, maxRounds } = this._settings;
    const device = this._device;
    this._failures++;
    if (maxRounds > 0 && this._failures >= maxRounds) return this._stop();
    const most = Math.min(maxDelayMs, minDelayMs * 2 ** this._round++);
    const delayMs = fixedMs < 0 ? Math.floor(this._draw * most) : fixedMs;
    device.world.count("reconnect: a pause");
    this._expect("waiting");
    const told = this._told;
    if (told?.round !== this._round || told.delayMs !== delayMs || told.atMs !== device.world.nowMs) {
      device.fail(`reconnect: a pause of ${told?.delayMs} ms before round ${told?.round}, ` +
        `not of ${delayMs} before round ${this._round}`);
    }
    this._next = { at: 0, fromMs: device.world.nowMs + delayMs };
  }

  private _expect(state: ConnectionState): void {
    const told = this._told?.state;
    const { state: now } = this._client;
    if (now !== state || told !== state) {
      this._device.fail(`reconnect: ${now} is its state, and ${told ?? "nothing"} was told, not ${state}`);
    }
  }
}

export const STAYING: Feature = {
  name: "reconnect",
  exercises: [
    "reconnect: a pause", "reconnect: the next host", "reconnect: stopped", "reconnect: asked again",
    "reconnect: the session is there", "reconnect: ended in between",
  ],
  isDrawn: (plan) => plan.clockMs % 10 < 3,
  suits: (plan) => !plan.autoReconnect,
  attach: (device, client) => new Staying(device, client),
};
