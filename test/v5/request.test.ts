/** Requests and their responses: what is sent, which message is which answer, and what becomes of those without one. */
import { describe, expect, jest, test } from "@jest/globals";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { withSubscriptions } from "../../src/optional/subscriptions.js";
import type { MessageInfo5, MqttClient5 } from "../../src/v5/face.js";
import type { RequestOptions, Requesting, RequestsOptions } from "../../src/v5/request.js";
import { reply, withRequests } from "../../src/v5/request.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { createMqtt } from "../../src/client.js";
import { hex } from "../support/bytes.js";
import type { DeviceOptions5 } from "../support/device5.js";
import { Device5, ack, connack, message, suback } from "../support/device5.js";
import type { Packet5 } from "../support/packets5.js";

const TOPIC = "me/answers";

/** A device that asks; what becomes of it is an event `name=data` or `name: failure`. */
class Asking extends Device5 {
  /** What the application does in the callback of a request. */
  whenOver: (name: string) => void = () => undefined;
  private isInside = false;

  constructor(options: DeviceOptions5 = {}, requests: Partial<RequestsOptions> = {}) {
    const extend = (client: MqttClient5): MqttClient5 => {
      return withRequests(options.extend?.(client) ?? client, { responseTopic: TOPIC, ...requests });
    };
    super({ ...options, extend });
  }

  get asking(): MqttClient5 & Requesting {
    return this.client as MqttClient5 & Requesting;
  }

  ask(name: string, options?: RequestOptions, topic = "ask"): boolean {
    this.isInside = true;
    try {
      return this.asking.request(topic, name, (client, data: unknown, info, failure) => {
        if (this.isInside) this.violations.push("a request's callback inside a call");
        if (client !== this.client) this.violations.push("a request's callback without the client");
        if ((info === undefined) === (failure === undefined)) this.violations.push("answer and failure, or neither");
        const shown = data instanceof Uint8Array ? hex(data) : String(data);
        this.events.push(failure === undefined ? `${name}=${shown} q${info!.qos}` : `${name}: ${failure}`);
        this.whenOver(name);
      }, options);
    } finally {
      this.isInside = false;
    }
  }

  /** Correlation Data of the requests that were sent on the last connection, in their order, a character each byte. */
  correlations(): string[] {
    this.hal.settle();
    this.broker.read();
    return this.broker.packets.flatMap(({ type, ...packet }) => {
      const data = (packet as { properties?: { correlationData?: Uint8Array } }).properties?.correlationData;
      return type === "PUBLISH" && data !== undefined ? [Buffer.from(data).toString("latin1")] : [];
    });
  }

  /** An answer to the request that was sent as number `index` on the last connection. */
  answerTo(index: number, payload: string, others: Parameters<typeof message>[2] = {}): Packet5 {
    return message(TOPIC, payload, { correlationData: this.correlations()[index], ...others });
  }

  /** A session whose response topic is granted. */
  ready(isPresent = false): this {
    this.up(isPresent);
    this.grant();
    return this;
  }

  /** Answers the subscription that is under way. */
  grant(code = 1): void {
    this.broker.read();
    const subscribe = this.broker.packets.filter(({ type }) => type === "SUBSCRIBE").at(-1) as { packetId: number };
    this.send(suback(subscribe.packetId, [code]));
    this.take();
    this.broker.take();
  }
}

/** What `sent()` says, without the eight bytes of Correlation Data. */
function withoutCorrelation(lines: string[]): string[] {
  return lines.map((line) => line.replace(/correlationData=[\da-f]{16}/, "correlationData=*"));
}

describe("a request", () => {
  test("says where it wants its answer, and by what it is known (4.10.1)", () => {
    const device = new Asking().ready();
    expect(device.ask("a")).toBe(true);
    expect(device.ask("b", { qos: 0, properties: { contentType: "text" } }, "other")).toBe(true);
    expect(withoutCorrelation(device.sent())).toEqual([
      `PUBLISH ask=a q1 #2 {responseTopic=${TOPIC} correlationData=*}`,
      `PUBLISH other=b {contentType=text responseTopic=${TOPIC} correlationData=*}`,
    ]);
    const [first, second] = device.correlations();
    expect(first).toHaveLength(8);
    expect(second.substring(0, 4)).toBe(first.substring(0, 4));
    expect(second).not.toBe(first);
  });

  test("has its answer, in whatever order answers come, each once", () => {
    const device = new Asking().ready();
    for (const name of ["a", "b", "c"]) device.ask(name);
    device.send(device.answerTo(2, "third"), device.answerTo(0, "first", { qos: 1, id: 7 }));
    expect(device.take()).toEqual(["c=third q0", "a=first q1"]);
    device.send(device.answerTo(1, ""));
    expect(device.take()).toEqual(["b=undefined q0"]);
    device.hal.advance(60000);
    expect(device.take().filter((event) => !event.startsWith("offline"))).toEqual([]);
  });

  test("has it as bytes with format buffer, and with its properties", () => {
    const device = new Asking({ options: { format: "buffer" } }).ready();
    let contentType: unknown = undefined;
    device.asking.request("ask", "x", (_client, data: Uint8Array, info) => {
      device.events.push(hex(data));
      contentType = info?.properties.get("contentType");
    });
    device.send(device.answerTo(0, "AB", { contentType: "text/plain" }));
    expect(device.take()).toEqual(["4142"]);
    expect(contentType).toBe("text/plain");
  });

  test.each([1, 3, 20])("has it when it comes in pieces of %i bytes", (fragment) => {
    const device = new Asking().ready();
    device.ask("a");
    device.ask("b");
    device.sent();
    device.socket.fragment = fragment;
    device.send(device.answerTo(1, "y".repeat(300), { userProperty: [["k", "v"]] }), device.answerTo(0, "first"));
    expect(device.take()).toEqual([`b=${"y".repeat(300)} q0`, "a=first q0"]);
  });

  test("is answered also while the application has no callback for messages, or sets one in the callback", () => {
    const device = new Asking({ listens: false }).ready();
    device.ask("a");
    device.ask("b");
    device.whenOver = () => device.client.on("message", device.recorder("message"));
    device.send(device.answerTo(0, "1"), device.answerTo(1, "2"), message(TOPIC, "3"));
    expect(device.take()).toEqual(["a=1 q0", "b=2 q0", `message ${TOPIC}=3`]);
  });

  test("may be made in the callback of another, which has made room for it", () => {
    const device = new Asking({}, { maxRequests: 1 }).ready();
    device.ask("a");
    device.whenOver = (name) => {
      if (name === "a") expect(device.ask("again")).toBe(true);
    };
    device.send(device.answerTo(0, "1"));
    expect(device.take()).toEqual(["a=1 q0"]);
    device.send(device.answerTo(1, "2"));
    expect(device.take()).toEqual(["again=2 q0"]);
  });

  test("of which the callback throws leaves the others, and the messages, alone", () => {
    const device = new Asking().ready();
    const fail = (): never => {
      throw new Error("of the application");
    };
    device.asking.request("ask", "a", fail);
    device.asking.request("ask", "b", fail, { timeoutMs: 500 });
    device.ask("c", { timeoutMs: 500 });
    device.send(device.answerTo(0, "1"), message("t", "2"));
    device.hal.advance(500);
    expect(device.take()).toEqual(["message t=2", "c: timeout"]);
    expect(device.takeErrors()).toEqual([new Error("of the application"), new Error("of the application")]);
  });
});

describe("without an answer, a request", () => {
  test("ends when its own time is over, and not before", () => {
    const device = new Asking().ready();
    device.ask("late");
    device.ask("soon", { timeoutMs: 300 });
    device.ask("next", { timeoutMs: 400 });
    device.hal.advance(299);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["soon: timeout"]);
    device.hal.advance(100);
    expect(device.take()).toEqual(["next: timeout"]);
    device.hal.advance(9599);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["late: timeout"]);
  });

  test("ends in the order of the calls where several end at once", () => {
    const device = new Asking({}, { timeoutMs: 700 }).ready();
    device.ask("a");
    device.ask("b");
    device.hal.advance(700);
    expect(device.take()).toEqual(["a: timeout", "b: timeout"]);
  });

  test("counts its time also where the clock is cut to 32 bits", () => {
    const device = new Asking({ hal: { now: 0x7fffff00 } }).ready();
    device.ask("a", { timeoutMs: 1000 });
    device.ask("b", { timeoutMs: 100 });
    device.ask("c", { timeoutMs: 200 });
    device.hal.advance(100);
    expect(device.take()).toEqual(["b: timeout"]);
    device.hal.advance(100);
    expect(device.take()).toEqual(["c: timeout"]);
    device.hal.advance(799);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["a: timeout"]);
  });

  test("leaves no timer behind once it is over", () => {
    const device = new Asking().ready();
    device.ask("a", { qos: 0, timeoutMs: 50 });
    device.sent();
    expect(device.hal.nextTimerMs).toBe(50);
    device.send(device.answerTo(0, "1"));
    device.hal.settle();
    // The keep alive time's.
    expect(device.hal.nextTimerMs).toBeGreaterThan(50000);
  });

  test("leaves a late answer, and a second one, to the callback for messages", () => {
    const device = new Asking().ready();
    device.ask("a", { timeoutMs: 100 });
    device.ask("b");
    device.hal.advance(100);
    device.take();
    device.send(device.answerTo(0, "late"), device.answerTo(1, "1"), device.answerTo(1, "twice"));
    const events = device.take().map((event) => event.split(" {")[0]);
    expect(events).toEqual([`message ${TOPIC}=late`, "b=1 q0", `message ${TOPIC}=twice`]);
  });

  test("ends with the session, before offline, when that is not kept [MQTT5-3.1.2-23]", () => {
    const device = new Asking().ready();
    device.ask("a");
    device.ask("b", { qos: 0 });
    device.sent();
    expect(device.lose()).toEqual(["puback", "a: lost", "b: lost", "offline -10"]);
    device.hal.advance(20000);
    expect(device.take()).toEqual([]);
  });

  test("ends when the application ends the session, but not inside that call", () => {
    for (const end of ["close", "abort"] as const) {
      const device = new Asking().ready();
      device.ask("a", { qos: 0 });
      device.sent();
      device.take();
      device.client[end]();
      expect(device.events).toEqual([]);
      expect(device.take()).toEqual(["a: lost", "offline 0"]);
    }
  });

  test("has the reason code when the broker refuses it, at once [MQTT5-4.3.2-4]", () => {
    const device = new Asking().ready();
    device.ask("a");
    device.ask("b", { qos: 2 });
    device.ask("c");
    device.send(ack("PUBACK", 4), ack("PUBACK", 2, 0x87), ack("PUBREC", 3, 0x97));
    expect(device.take()).toEqual(["puback 0x87", "a: 135", "puback 0x97", "puback", "b: 151"]);
    // The id is another's now: what becomes of that is nothing to the request.
    device.client.connection.session.outbox.lastPacketId = 3;
    device.client.publish("t", "x", 1);
    expect(device.sent().at(-1)).toBe("PUBLISH t=x q1 #4");
    device.send(ack("PUBACK", 4, 0x87), device.answerTo(2, "3"));
    expect(device.take()).toEqual(["puback 0x87", "c=3 q0"]);
  });

  test("is not ended by what the broker says of other messages, or of none", () => {
    const device = new Asking().ready();
    device.client.publish("t", "x", 1);
    device.ask("a", { qos: 0 });
    device.ask("b", { qos: 2 });
    device.sent();
    device.send(ack("PUBACK", 2, 0x87), ack("PUBACK", 3, 0x87), ack("PUBREC", 77, 0x87));
    expect(device.take()).toEqual(["puback 0x87", "puback"]);
    device.send(device.answerTo(1, "2"), device.answerTo(0, "1"));
    expect(device.take()).toEqual(["b=2 q0", "a=1 q0"]);
  });

  test("has 0x10 when nobody subscribes to its topic, once its time is over: some brokers answer themselves", () => {
    const device = new Asking().ready();
    device.ask("a", { timeoutMs: 100 });
    device.ask("b", { timeoutMs: 100, qos: 2 });
    device.send(ack("PUBACK", 2, 0x10), ack("PUBREC", 3, 0x10));
    device.hal.advance(99);
    expect(device.take()).toEqual(["puback 0x10"]);
    device.send(device.answerTo(0, "from a rule"));
    expect(device.take()).toEqual(["a=from a rule q0"]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["b: 16"]);
  });
});

describe("what is no answer", () => {
  test.each([
    ["no correlation data", {}],
    ["empty correlation data", { correlationData: "" }],
    ["correlation data of an earlier life", { correlationData: "earl\0\0\0\x01" }],
    ["correlation data that are longer", { correlationData: "\0".repeat(9) }],
    ["correlation data of 65,000 bytes", { correlationData: "x".repeat(65000) }],
  ])("goes to message: %s", (_title, properties) => {
    const device = new Asking({ options: { maxMessageLength: 70000 } }).ready();
    device.ask("a");
    device.sent();
    device.socket.fragment = 1460;
    device.send(message(TOPIC, "hm", properties));
    expect(device.take().map((event) => event.split(" {")[0])).toEqual([`message ${TOPIC}=hm`]);
    device.send(device.answerTo(0, "1"));
    expect(device.take()).toEqual(["a=1 q0"]);
  });

  test("goes to message: each of the counts around the one that waits, and the right one on another topic", () => {
    const device = new Asking().ready();
    device.ask("a");
    const right = device.correlations()[0];
    device.send(message(TOPIC, "9", { correlationData: `${right.substring(0, 4)}x${right.substring(4)}` }));
    expect(device.take().map((event) => event.split(" {")[0])).toEqual([`message ${TOPIC}=9`]);
    for (let bit = 0; bit < 64; bit++) {
      const bytes = Buffer.from(right, "latin1");
      bytes[bit >> 3] ^= 1 << (bit & 7);
      device.send(message(TOPIC, `${bit}`, { correlationData: bytes.toString("latin1") }));
      expect(device.take().map((event) => event.split(" {")[0])).toEqual([`message ${TOPIC}=${bit}`]);
    }
    device.send(message("me/other", "x", { correlationData: right }));
    expect(device.take().map((event) => event.split(" {")[0])).toEqual(["message me/other=x"]);
    device.send(device.answerTo(0, "1"));
    expect(device.take()).toEqual(["a=1 q0"]);
  });

  test("goes to overflow: what is longer than maxMessageLength, if the application has asked for such", () => {
    const device = new Asking({ options: { maxMessageLength: 64, rxCapacity: 256 } });
    device.client.connect("broker", null, null, null, null, null, { maximumPacketSize: 1000 });
    device.accept();
    device.grant();
    device.ask("a", { timeoutMs: 100 });
    device.send(device.answerTo(0, "x".repeat(100)));
    expect(device.take().map((event) => event.split("=")[0])).toEqual([`overflow ${TOPIC}`]);
    device.hal.advance(100);
    expect(device.take()).toEqual(["a: timeout"]);
  });

  test("the random part is drawn for each client", () => {
    const random = jest.spyOn(Math, "random").mockReturnValue(0.25);
    const first = new Asking().ready();
    random.mockReturnValue(0.5);
    const second = new Asking().ready();
    random.mockRestore();
    first.ask("a");
    second.ask("a");
    expect(first.correlations()).toEqual(["@@@@\0\0\0\x01"]);
    expect(second.correlations()).toEqual(["\x80\x80\x80\x80\0\0\0\x01"]);
  });
});

describe("request answers false, and changes nothing,", () => {
  test("without a session, also where messages are queued, and while one is being closed", () => {
    const device = new Asking({ cleansession: 0, options: { queueOffline: true } });
    expect(device.ask("a")).toBe(false);
    device.ready();
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.ask("b")).toBe(false);
    device.client.abort();
    device.hal.advance(20000);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("when maxRequests wait", () => {
    const device = new Asking({}, { maxRequests: 2 }).ready();
    expect([device.ask("a"), device.ask("b"), device.ask("c")]).toEqual([true, true, false]);
    expect(device.sent()).toHaveLength(2);
    device.send(device.answerTo(1, "2"));
    expect(device.take()).toEqual(["b=2 q0"]);
    expect([device.ask("d"), device.ask("e")]).toEqual([true, false]);
    device.hal.advance(10000);
    expect(device.take()).toEqual(["a: timeout", "d: timeout"]);
  });

  test("by default when eight wait", () => {
    const device = new Asking().ready();
    for (let i = 0; i < 8; i++) expect(device.ask(`${i}`, { qos: 0 })).toBe(true);
    expect(device.ask("8", { qos: 0 })).toBe(false);
  });

  test("when the client has no room, or the broker would not take it", () => {
    const device = new Asking({ options: { maxOperations: 1 } }).ready();
    expect([device.ask("a"), device.ask("b")]).toEqual([true, false]);
    expect(device.client.refusal).toBe(0);
    device.sent();
    device.hal.advance(10000);
    expect(device.take()).toEqual(["a: timeout"]);
    const limited = new Asking();
    limited.upWith({ maximumQoS: 0 });
    limited.grant(0);
    expect(limited.ask("a")).toBe(false);
    expect(limited.client.refusal).toBe(0x9b);
    expect(limited.ask("a", { qos: 0 })).toBe(true);
    expect(limited.client.refusal).toBe(0);
    limited.send(limited.answerTo(0, "1"));
    expect(limited.take()).toEqual(["puback", "a=1 q0"]);
    limited.client.publish("t", "x", 1);
    limited.client.close();
    expect(limited.ask("a", { qos: 0 })).toBe(false);
    expect(limited.client.refusal).toBe(0);
  });

  test("when there is no room for the subscription in front of it", () => {
    const device = new Asking({ cleansession: 0, options: { queueOffline: true, maxOperations: 2 } });
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 1);
    device.up();
    expect(device.ask("a")).toBe(false);
    device.send(ack("PUBACK", 1), ack("PUBACK", 2));
    device.take();
    expect(device.ask("b")).toBe(true);
    expect(withoutCorrelation(device.sent())).toEqual([
      `SUBSCRIBE #3 ${TOPIC}:1+rh2`,
      `PUBLISH ask=b q1 #4 {responseTopic=${TOPIC} correlationData=*}`,
    ]);
  });
});

describe("the response topic", () => {
  test("is subscribed to as soon as there is a session, in front of what the application sends", () => {
    const device = new Asking({}, { qos: 2 });
    device.during.connect = () => {
      device.client.publish("t", "hello");
      device.ask("a", { qos: 0 });
    };
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(withoutCorrelation(device.sent())).toEqual([
      `SUBSCRIBE #1 ${TOPIC}:2+rh2`,
      "PUBLISH t=hello",
      `PUBLISH ask=a {responseTopic=${TOPIC} correlationData=*}`,
    ]);
    expect(device.take()).toEqual(["connect"]);
  });

  test("is nothing to the suback callback, whose own subscriptions are told as ever", () => {
    const device = new Asking();
    device.during.connect = () => {
      device.client.subscribe("mine", 1);
      device.client.subscribe("refused", 1);
    };
    device.up();
    device.send(suback(2, [1]), suback(1, [1]), suback(3, [0x80]));
    expect(device.take()).toEqual(["suback 0x01", "suback 0x80"]);
  });

  test("goes with other modules in whatever order, and keeps their tables right", () => {
    const inside = new Asking({ extend: (client) => withOutcomes(withSubscriptions(client)) });
    const outside = new Asking();
    for (const extend of [withSubscriptions, withOutcomes] as const) extend(outside.client);
    for (const device of [inside, outside]) {
      const client = device.client as MqttClient5 & ReturnType<typeof withSubscriptions<MqttClient5>> &
        ReturnType<typeof withOutcomes<MqttClient5>>;
      device.during.connect = () => {
        client.subscribe("mine", 2);
        client.outcome((_client, outcome) => device.events.push(`mine ${outcome}`));
      };
      device.up();
      device.send(suback(1, [1]), suback(2, [2]));
      expect(device.take()).toEqual(["suback 0x02", "mine delivered"]);
      expect({ ...client.subscriptions() }).toEqual({ [TOPIC]: 1, mine: 2 });
    }
  });

  test("takes a request before it is granted: the answer cannot be quicker", () => {
    const device = new Asking().up();
    expect(device.ask("a")).toBe(true);
    expect(device.sent()).toHaveLength(1);
    device.send(suback(1, [1]), device.answerTo(0, "1"));
    expect(device.take()).toEqual(["a=1 q0"]);
  });

  test("that is refused ends what waits for it with the reason code; the next request asks again", () => {
    const device = new Asking().up();
    device.ask("a", { qos: 0 });
    device.ask("b", { qos: 0 });
    device.whenOver = (name) => {
      if (name === "b") device.ask("c", { qos: 0 });
    };
    device.sent();
    device.events = [];
    device.send(suback(1, [0x87]));
    expect(device.take().filter((event) => event !== "puback")).toEqual(["a: 135", "b: 135"]);
    expect(withoutCorrelation(device.sent())).toEqual([
      `SUBSCRIBE #2 ${TOPIC}:1+rh2`,
      `PUBLISH ask=c {responseTopic=${TOPIC} correlationData=*}`,
    ]);
    device.send(suback(2, [0]), device.answerTo(2, "3"));
    expect(device.take().filter((event) => event !== "puback")).toEqual(["c=3 q0"]);
  });

  test("is not asked for again where the session is present, and waiting goes on", () => {
    const device = new Asking({ cleansession: 0 }).ready();
    device.ask("a");
    const correlationData = device.correlations()[0];
    device.ask("b", { timeoutMs: 500 });
    device.sent();
    device.send(ack("PUBACK", 2), ack("PUBACK", 3));
    expect(device.take()).toEqual(["puback", "puback"]);
    expect(device.lose()).toEqual(["offline -10"]);
    device.hal.advance(500);
    expect(device.take()).toEqual(["b: timeout"]);
    device.up(true);
    expect(device.sent()).toEqual([]);
    device.send(message(TOPIC, "1", { correlationData, qos: 1, id: 1 }));
    expect(device.take()).toEqual(["a=1 q1"]);
  });

  test("is asked for again where the session is not present, and what waited has no answer", () => {
    const device = new Asking({ cleansession: 0 }).ready();
    device.ask("a");
    device.ask("b");
    device.sent();
    device.send(ack("PUBACK", 2), ack("PUBACK", 3));
    device.take();
    device.lose();
    device.whenOver = (name) => {
      if (name === "a") device.ask("c", { qos: 0 });
    };
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["a: lost", "b: lost", "connect"]);
    expect(withoutCorrelation(device.sent())).toEqual([
      `SUBSCRIBE #4 ${TOPIC}:1+rh2`,
      `PUBLISH ask=c {responseTopic=${TOPIC} correlationData=*}`,
    ]);
    device.send(suback(4, [1]), device.answerTo(0, "3"));
    expect(device.take()).toEqual(["puback", "c=3 q0"]);
  });

  test("is asked for again when the connection was lost before the broker had answered", () => {
    const device = new Asking({ cleansession: 0 }).up();
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send(connack({}, { isPresent: true }));
    expect(device.sent()).toEqual([`SUBSCRIBE #2 ${TOPIC}:1+rh2`]);
    device.take();
    device.grant();
    expect(device.take()).toEqual([]);
  });

  test("is not granted by a SUBACK to a SUBSCRIBE that has not left", () => {
    const device = new Asking({ cleansession: 0, options: { queueOffline: true, maxInflight: 1 } });
    device.client.publish("t", "1", 1);
    device.up();
    device.send(suback(2, [0x87]), suback(2, [1]));
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual([`SUBSCRIBE #2 ${TOPIC}:1+rh2`]);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send(connack({}, { isPresent: true }));
    expect(device.sent()).toEqual([`SUBSCRIBE #3 ${TOPIC}:1+rh2`]);
  });

  test("is asked for by a device that has restarted, whose session the broker has kept", () => {
    const device = new Asking({ cleansession: 0 });
    device.client.connect("broker");
    device.reach();
    device.send(connack({}, { isPresent: true }));
    expect(device.sent()).toEqual([`SUBSCRIBE #1 ${TOPIC}:1+rh2`]);
  });

  test("that was granted while an older operation waited is not told to the application on a later connection", () => {
    const device = new Asking({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "1", 1);
    device.up();
    device.send(suback(2, [1]));
    expect(device.lose()).toEqual(["offline -10"]);
    device.up(true);
    expect(device.sent()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
  });
});

describe("reply", () => {
  /** A device that answers each message with what it says in capitals. */
  function answering(answer: (client: MqttClient5, data: string, info: MessageInfo5) => boolean): Device5 {
    const device = new Device5();
    const answers: boolean[] = [];
    device.during.message = (client, _topic, data, info) => {
      answers.push(answer(client as MqttClient5, data as string, info as MessageInfo5));
      device.events = answers.map(String);
    };
    return device.up();
  }

  test("publishes to the Response Topic, with the Correlation Data (4.10.2)", () => {
    const device = answering((client, data, info) => reply(client, info, data.toUpperCase(), 1));
    device.send(message("ask", "hello", { responseTopic: "you/answers", correlationData: "\0\xff7" }));
    expect(device.take()).toEqual(["true"]);
    expect(device.sent()).toEqual(["PUBLISH you/answers=HELLO q1 #1 {correlationData=00ff37}"]);
  });

  test("has no Correlation Data where the request has none, is at QoS 0 by default, and takes other properties", () => {
    const device = answering((client, data, info) => reply(client, info, data, null, { contentType: "text" }));
    device.send(message("ask", "hello", { responseTopic: "you" }));
    expect(device.take()[0]).toBe("true");
    expect(device.sent()).toEqual(["PUBLISH you=hello {contentType=text}"]);
  });

  test("answers false, and sends nothing, when the message asks for no answer or there is no room", () => {
    const device = answering((client, data, info) => reply(client, info, data));
    device.send(message("ask", "hello", { correlationData: "x" }));
    expect(device.take()).toEqual(["false"]);
    const full = answering((client, data, info) => reply(client, info, data.repeat(3000), 1));
    full.send(message("ask", "x", { responseTopic: "you" }));
    expect(full.take()).toEqual(["false"]);
    expect([...device.sent(), ...full.sent()]).toEqual([]);
  });

  test("answers a request of this library", () => {
    const device = answering((client, data, info) => reply(client, info, `${data}!`));
    const asking = new Asking().ready();
    asking.ask("hello");
    const correlationData = asking.correlations()[0];
    device.send(message("ask", "hello", { responseTopic: TOPIC, correlationData }));
    device.sent();
    const answer = device.broker.packets.filter(({ type }) => type === "PUBLISH").at(-1) as unknown as {
      topicName: string;
      payload: string;
      properties: { correlationData: Uint8Array };
    };
    const returned = Buffer.from(answer.properties.correlationData).toString("latin1");
    asking.send(message(answer.topicName, answer.payload, { correlationData: returned }));
    expect(asking.take()).toEqual(["hello=hello! q0"]);
  });

  test("names what is wrong", () => {
    const { client } = answering(() => true);
    expect(() => reply(client, undefined as never, "x")).toThrow("info must be what a message callback got");
    expect(() => reply(client, {} as never, "x")).toThrow("info must be what a message callback got");
    const device = answering((each, data, info) => {
      expect(() => reply(each, info, data, 3 as never)).toThrow("qos must be");
      expect(() => reply(each, info, {} as never)).toThrow("payload must be");
      expect(() => reply(each, info, data, 0, { correlationData: "x" })).toThrow(
        'properties must not have "correlationData" here');
      expect(() => reply(each, info, data, 0, { subscriptionIdentifier: 1 })).toThrow(
        'properties must not have "subscriptionIdentifier" here');
      each.publish("behind", "them");
      return true;
    });
    device.send(message("ask", "hello", { responseTopic: "you" }));
    expect(device.take()[0]).toBe("true");
    // Nothing of what was refused is left for the next message.
    expect(device.sent()).toEqual(["PUBLISH behind=them"]);
  });
});

describe("withRequests", () => {
  test("keeps the properties where withQueuePolicy stands between", () => {
    const device = new Asking({ extend: (client) => withQueuePolicy(client, { dropPolicy: "drop-oldest" }) }).ready();
    device.ask("a", { qos: 0 });
    expect(withoutCorrelation(device.sent())).toEqual([
      `PUBLISH ask=a {responseTopic=${TOPIC} correlationData=*}`,
    ]);
  });

  test("keeps them also where withQueuePolicy has dropped another message first", () => {
    const extend = (client: MqttClient5): MqttClient5 => withQueuePolicy(client, { dropPolicy: "drop-oldest" });
    const device = new Asking({ extend, options: { maxOperations: 2 }, hal: { room: 200 } }).ready();
    device.client.publish("t", "x".repeat(300));
    device.client.publish("t", "dropped");
    expect(device.ask("a", { qos: 0 })).toBe(true);
    device.socket.drain();
    expect(withoutCorrelation(device.sent()).map((line) => line.replace(/x+/, "x"))).toEqual([
      "PUBLISH t=x",
      `PUBLISH ask=a {responseTopic=${TOPIC} correlationData=*}`,
    ]);
  });

  test.each([
    ["options must be an object", undefined],
    ["options must be an object", "x"],
    ['unknown option "topic"', { topic: "x" }],
    ["responseTopic must be a topic name", {}],
    ["responseTopic must be a string", { responseTopic: 1 }],
    ["responseTopic must be a topic name", { responseTopic: "a/#" }],
    ["maxRequests must be an integer from 1", { responseTopic: "a", maxRequests: 0 }],
    ["timeoutMs must be an integer from 1", { responseTopic: "a", timeoutMs: 0 }],
    ["qos must be", { responseTopic: "a", qos: 3 }],
  ])("throws %s", (text, options) => {
    const { client } = new Device5();
    expect(() => withRequests(client, options as never)).toThrow(text);
    expect(client).not.toHaveProperty("request");
  });

  test("wants a client of MQTT 5", () => {
    const { hal } = new Device5();
    const client = createMqtt(hal, MQTT_3_1_1).Client();
    expect(() => withRequests(client as never, { responseTopic: "a" })).toThrow("client must be one of MQTT 5");
  });

  test("has request name what is wrong, and then sends nothing", () => {
    const device = new Asking().ready();
    const request = device.asking.request as (...values: unknown[]) => boolean;
    const nothing = (): void => {};
    for (const [text, ...values] of [
      ["topic must be", "a/#", "x", nothing],
      ["topic must be", undefined, "x", nothing],
      ["payload must be", "t", {}, nothing],
      ["callback must be a function", "t", "x"],
      ["callback must be a function", "t", "x", 1],
      ["options must be an object", "t", "x", nothing, 1],
      ['unknown option "retain"', "t", "x", nothing, { retain: 1 }],
      ["qos must be", "t", "x", nothing, { qos: -1 }],
      ["timeoutMs must be", "t", "x", nothing, { timeoutMs: 1.5 }],
      ["properties must be an object", "t", "x", nothing, { properties: 1 }],
      ['properties must not have "responseTopic" here', "t", "x", nothing, { properties: { responseTopic: "r" } }],
      ['properties must not have "topicAlias" here', "t", "x", nothing, { properties: { topicAlias: 1 } }],
    ] as const) {
      expect(() => request.apply(device.client, values)).toThrow(text);
    }
    expect(device.sent()).toEqual([]);
    device.hal.advance(20000);
    expect(device.take()).toEqual([]);
  });
});
