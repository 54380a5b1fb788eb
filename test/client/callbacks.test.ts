import { describe, expect, test } from "@jest/globals";
import type { MessageInfo } from "../../src/client.js";
import type { EventName } from "../support/device.js";
import { Device, EVENTS, PINGRESP, ack, connack, message, suback } from "../support/device.js";

/** What brings an event about, on a device whose broker answers. */
const causes: [EventName, string, (device: Device) => void][] = [
  ["connect", "connect", (device) => device.client.connect("broker")],
  ["connfail", "connfail", (device) => {
    const { script } = device.hal;
    device.hal.script = (socket) => {
      device.hal.script = script;
      socket.fail("refused");
    };
    device.client.connect("broker");
  }],
  ["offline", "offline, by the peer", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.socket.reset();
  }],
  ["offline", "offline, by close()", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.close();
  }],
  ["offline", "offline, by abort()", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.abort();
  }],
  ["offline", "offline, by keepalive", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.broker.answers = false;
    device.hal.advance(119000);
  }],
  ["offline", "offline, by a malformed packet", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.socket.receive(device.broker.bytes(message("t", "x")), [0xf0, 0, 0x30]);
  }],
  ["message", "message", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.send(message("t", "x", { qos: 1, id: 9 }));
  }],
  ["message", "message, with others behind it", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.send(message("t", "x", { qos: 2, id: 9 }), message("t", "y", { qos: 1, id: 10 }), PINGRESP);
  }],
  ["overflow", "overflow", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.send(message("t", "x".repeat(3000), { qos: 1, id: 9 }));
  }],
  ["puback", "puback, at QoS 0", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.publish("t", "x");
  }],
  ["puback", "puback, at QoS 1", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.publish("t", "x", 1);
  }],
  ["puback", "puback, at QoS 2", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.publish("t", "x", 2);
  }],
  ["suback", "suback", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.subscribe("t", 1);
  }],
  ["unsuback", "unsuback", (device) => {
    device.client.connect("broker");
    device.hal.settle();
    device.client.unsubscribe("t");
  }],
];

/** What can be done in a callback, by a letter of the scripts below. */
const actions: Record<string, (device: Device) => boolean> = {
  C: (device) => device.client.connect("next"),
  c: (device) => device.client.close(),
  a: (device) => device.client.abort(),
  p: (device) => device.client.publish("p", "inside"),
  P: (device) => device.client.publish("p", "inside", 2),
  s: (device) => device.client.subscribe("s"),
  u: (device) => device.client.unsubscribe("u"),
};

/** Calls, what they answer (t, f, or ! for a throw), the callbacks that follow, and whether a session is up then. */
type Script = [calls: string, answers: string, followed: string[], isUp: boolean];

const whileUp: Script[] = [
  ["C", "!", [], true],
  ["c", "t", ["offline 0"], false],
  ["a", "t", ["offline 0"], false],
  ["cc", "tf", ["offline 0"], false],
  ["aa", "tf", ["offline 0"], false],
  ["ca", "tt", ["offline 0"], false],
  ["ac", "tf", ["offline 0"], false],
  ["cC", "tt", ["offline 0", "connect"], true],
  ["aC", "tt", ["offline 0", "connect"], true],
  ["cCC", "ttt", ["offline 0", "connect"], true],
  ["aCC", "ttt", ["offline 0", "connect"], true],
  ["cCc", "ttf", ["offline 0", "connect"], true],
  ["aCc", "ttf", ["offline 0", "connect"], true],
  ["cCa", "ttt", ["offline 0"], false],
  ["aCa", "ttt", ["offline 0"], false],
  ["cCaC", "tttt", ["offline 0", "connect"], true],
  ["aCaC", "tttt", ["offline 0", "connect"], true],
  ["p", "t", ["puback"], true],
  ["P", "t", ["puback"], true],
  ["s", "t", ["suback 0"], true],
  ["u", "t", ["unsuback"], true],
  ["spuP", "tttt", ["suback 0", "puback", "unsuback", "puback"], true],
  ["pc", "tt", ["puback", "offline 0"], false],
  ["Psuc", "tttt", ["puback", "suback 0", "unsuback", "offline 0"], false],
  ["PcC", "ttt", ["puback", "offline 0", "connect"], true],
  ["cp", "tf", ["offline 0"], false],
  ["csuP", "tfff", ["offline 0"], false],
  ["ap", "tf", ["offline 0"], false],
  ["PaC", "ttt", ["offline 0", "connect"], true],
  ["cCp", "ttf", ["offline 0", "connect"], true],
];
const whileDown: Script[] = [
  ["C", "t", ["connect"], true],
  ["c", "f", [], false],
  ["a", "f", [], false],
  ["CC", "tt", ["connect"], true],
  ["Cc", "tf", ["connect"], true],
  ["Ca", "tt", [], false],
  ["CaC", "ttt", ["connect"], true],
  ["caC", "fft", ["connect"], true],
  ["p", "f", [], false],
  ["su", "ff", [], false],
  ["Cp", "tf", ["connect"], true],
];

describe.each(causes)("Inside %s (%s)", (name, _, cause) => {
  const scripts = name === "connfail" || name === "offline" ? whileDown : whileUp;

  test.each(scripts)("calls %s answer %s, then come %j (contract 3: inside-callbacks, 2: connect-anywhere)", (
    calls, answers, followed, isUp,
  ) => {
    const device = new Device().answer();
    let answered: string | undefined;
    let sockets = 0;
    device.during[name] = () => {
      if (answered !== undefined) return;
      answered = "";
      device.events.splice(0);
      sockets = device.hal.sockets.length;
      for (const call of calls) {
        try {
          answered += actions[call](device) ? "t" : "f";
        } catch (error) {
          answered += "!";
          expect(error).toEqual(new Error("already connected"));
        }
      }
    };
    cause(device);
    device.hal.advance(1000);
    expect(answered).toBe(answers);
    // What else is in the segment may come as well; it is not what this is about.
    const came = device.take().filter((line) => line !== "message t=y" || followed.includes(line));
    expect(came).toEqual(name === "offline" ? followed.filter((line) => line !== "offline 0") : followed);
    expect(device.client.connected).toBe(isUp);
    // As many attempts as outcomes, but for those that were superseded or taken back.
    const opened = device.hal.sockets.slice(sockets);
    if (followed.includes("connect")) expect(opened.at(-1)).toMatchObject({ host: "next", closed: false });
    expect(opened.filter((socket) => !socket.closed)).toHaveLength(followed.includes("connect") ? 1 : 0);
    if (scripts === whileUp && !isUp) {
      const last = device.broker.packets.at(-1)?.type;
      if (calls.includes("a")) expect(last).not.toBe("DISCONNECT");
      else expect(last).toBe("DISCONNECT");
    }
    // Nothing is stuck: minutes later it is as it was.
    device.hal.advance(300000);
    expect(device.take()).toEqual([]);
    expect(device.client.connected).toBe(isUp);
    if (!isUp) expect(device.hal.nextTimerMs).toBeUndefined();
  });
});

describe("A message and what its callback does", () => {
  test("is acknowledged before the DISCONNECT of a close() (contract 3: inside-callbacks, 5: qos1-in)", () => {
    for (const calls of ["c", "cp", "cPsu", "cCp"]) {
      const device = new Device().up();
      const { broker } = device;
      device.during.message = () => [...calls].forEach((call) => actions[call](device));
      device.send(message("t", "x", { qos: 1, id: 5 }));
      expect(broker.take()).toEqual(["PUBACK #5", "DISCONNECT"]);
      expect(device.take()).toEqual(["message t=x", "offline 0"]);
    }
  });

  test("is not acknowledged behind an abort() (contract 3: inside-callbacks)", () => {
    for (const qos of [1, 2]) {
      const device = new Device().up();
      device.during.message = () => device.client.abort();
      device.send(message("t", "x", { qos, id: 5 }), message("t", "", { qos, id: 6 }));
      expect(device.sent()).toEqual([]);
      expect(device.take()).toEqual(["message t=x", "offline 0"]);
    }
  });

  test("more is published in it than the buffer holds, as long as the network takes it " +
    "(contract 3: inside-callbacks)", () => {
    const device = new Device({ options: { txCapacity: 128, maxOperations: 2 } }).up();
    device.during.message = () => {
      for (let i = 0; i < 20; i++) expect(device.client.publish("t", "x".repeat(100))).toBe(i < 2);
    };
    device.send(message("t", "1"));
    expect(device.sent()).toHaveLength(2);
    // Without a callback that waits for its turn there is no such limit.
    device.client.on("puback", null);
    device.during.message = () => {
      for (let i = 0; i < 20; i++) expect(device.client.publish("t", "x".repeat(100))).toBe(true);
    };
    device.send(message("t", "2"));
    expect(device.sent()).toHaveLength(20);
    expect(device.take()).toEqual(["message t=1", "puback", "puback", "message t=2"]);
  });

  test("so are subscribe and unsubscribe, behind what is there to be sent (contract 3: inside-callbacks)", () => {
    const device = new Device({ options: { txCapacity: 128 } }).up();
    const { client } = device;
    client.on("puback", null);
    device.during.message = () => {
      expect(client.publish("t", "x".repeat(100))).toBe(true);
      expect(client.subscribe("s".repeat(50))).toBe(true);
      expect(client.publish("t", "y".repeat(60))).toBe(true);
      expect(client.unsubscribe("u".repeat(50))).toBe(true);
    };
    device.send(message("t", "1"));
    expect(device.sent()).toEqual([
      `PUBLISH t=${"x".repeat(100)}`, `SUBSCRIBE #1 ${"s".repeat(50)}:0`, `PUBLISH t=${"y".repeat(60)}`,
      `UNSUBSCRIBE #2 ${"u".repeat(50)}`,
    ]);
    expect(device.take()).toEqual(["message t=1"]);
  });
});

describe("Callbacks", () => {
  test("get the client first, each of them (contract 3: client-first)", () => {
    const device = new Device({ listens: false });
    const called = new Set<string>();
    for (const name of EVENTS) {
      device.client.on(name, (client: unknown) => {
        expect(client === device.client).toBe(true);
        called.add(name);
      });
    }
    device.client.connect("broker");
    device.socket.fail("refused");
    device.up();
    device.client.publish("t", "x", 1);
    device.client.subscribe("t");
    device.client.unsubscribe("t");
    device.send(ack("PUBACK", 1), suback(2, 0), ack("UNSUBACK", 3), message("t", "x"), message("t", "x".repeat(2000)));
    device.socket.end();
    expect([...called].sort()).toEqual([...EVENTS].sort());
  });

  test("never run inside the call that caused them (contract 3: never-inside)", () => {
    const device = new Device({ hal: { room: 100000 } });
    const { client } = device;
    const calm = (call: () => unknown): void => {
      call();
      expect(device.events).toEqual([]);
    };
    calm(() => client.connect("broker"));
    device.accept();
    calm(() => client.publish("t", "x"));
    calm(() => client.publish("t", "x", 1));
    calm(() => client.subscribe("t"));
    calm(() => client.unsubscribe("t"));
    device.send(ack("PUBACK", 1), suback(2, 0), ack("UNSUBACK", 3));
    expect(device.take()).toEqual(["puback", "puback", "suback 0", "unsuback"]);
    calm(() => client.close());
    calm(() => client.connect("other"));
    expect(device.take()).toEqual(["offline 0"]);
    calm(() => client.abort());
    device.up();
    calm(() => client.abort());
    calm(() => client.connect("other"));
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("do not recurse: a chain of publishes takes a turn each (contract 3: never-inside)", () => {
    const device = new Device().up();
    let left = 20000;
    device.during.puback = () => {
      device.events.length = 0;
      if (--left > 0) device.client.publish("t", "x");
    };
    device.client.publish("t", "x");
    device.hal.settle();
    expect(left).toBe(0);
  });

  test.each([1, 16])("that keep publishing let others have their turn (%p entries) (contract 3: never-inside)", (
    maxOperations,
  ) => {
    const device = new Device({ hal: { room: 1000000 }, options: { maxOperations } }).up();
    device.socket.stall();
    let count = 0;
    device.during.puback = () => {
      device.events.length = 0;
      if (++count === 5000) device.hal.after(0, () => device.client.abort());
      device.client.publish("t", "x");
      // The second one needs room: the first leaves, and is done.
      device.client.publish("t", "y");
    };
    device.client.publish("t", "x");
    device.hal.settle();
    expect(count).toBeLessThan(5100);
    expect(device.client.connected).toBe(false);
  });
});

describe("A socket that has room and says nothing more", () => {
  /** A device with a session, on a socket that never calls `onWritable` again as long as there is room. */
  function silent(listens = true): Device {
    const device = new Device({ listens }).up();
    device.socket.stall();
    return device;
  }

  test("keeps no callback waiting (contract 2: publish-callback)", () => {
    const device = silent();
    device.client.publish("t", "x");
    expect(device.take()).toEqual(["puback"]);
  });

  test("keeps nothing waiting that a callback publishes (contract 3: inside-callbacks)", () => {
    const device = silent();
    let count = 0;
    device.during.puback = () => {
      if (count++ < 3) device.client.publish("t", `${count}`);
    };
    device.client.publish("t", "0");
    expect(device.sent()).toEqual(["PUBLISH t=0", "PUBLISH t=1", "PUBLISH t=2", "PUBLISH t=3"]);
    expect(device.take()).toEqual(["puback", "puback", "puback", "puback"]);
  });

  test("keeps no message waiting, though not all acknowledgements fit a write (contract 5: qos1-in)", () => {
    const device = silent();
    device.send(...Array.from({ length: 100 }, (_, i) => message("t", `${i}`, { qos: 1, id: i + 1 })));
    expect(device.take()).toHaveLength(100);
    expect(device.sent()).toHaveLength(100);
  });

  test("is not waited for with the callback of what left when room came (contract 2: publish-callback)", () => {
    const device = new Device({ hal: { room: 30 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(40));
    device.hal.settle();
    device.socket.drain(30);
    // No timer was needed for it.
    expect(device.events).toEqual(["puback"]);
  });
});

describe("The slots of callbacks", () => {
  const note = (device: Device, text: string) => () => device.events.push(text);

  test("the last function given is called for all, for those without one too (contract 3: slots)", () => {
    const device = new Device({ listens: false }).up();
    const { client } = device;
    client.publish("t", "1", 1, 0, note(device, "A"));
    client.publish("t", "2", 1);
    client.publish("t", "3", 1, 0, note(device, "B"));
    client.publish("t", "4", 1, 0, null);
    device.send(...[1, 2, 3, 4].map((id) => ack("PUBACK", id)));
    expect(device.take()).toEqual(["B", "B", "B", "B"]);
    client.subscribe("a", 0, note(device, "A"));
    client.subscribe("b", note(device, "B"));
    client.subscribe({ c: 0 });
    device.send(...[5, 6, 7].map((id) => suback(id, 0)));
    expect(device.take()).toEqual(["B", "B", "B"]);
    client.unsubscribe("a", note(device, "A"));
    client.unsubscribe({ b: 0 }, note(device, "B"));
    client.unsubscribe("c");
    device.send(...[8, 9, 10].map((id) => ack("UNSUBACK", id)));
    expect(device.take()).toEqual(["B", "B", "B"]);
  });

  test("at QoS 0 too, for publishes before the function was given, in the same turn (contract 3: slots)", () => {
    const device = new Device({ listens: false }).up();
    device.client.publish("t", "1");
    device.client.publish("t", "2");
    device.client.publish("t", "3", 0, 0, note(device, "A"));
    expect(device.take()).toEqual(["A", "A", "A"]);
  });

  test("the very first function is called, though nobody listened before (contract 3: slots)", () => {
    const device = new Device({ listens: false }).up();
    device.client.publish("t", "1", 0, 0, note(device, "A"));
    expect(device.take()).toEqual(["A"]);
  });

  test("a function that on() sets afterwards is called, in the same turn (contract 3: slots, 2: on-slots)", () => {
    const device = new Device({ listens: false }).up();
    device.client.publish("t", "1");
    device.client.on("puback", note(device, "A"));
    expect(device.take()).toEqual(["A"]);
  });

  test("so is one that is set behind a publish that was refused (contract 3: slots, 2: publish-false)", () => {
    const device = new Device({ listens: false, options: { maxOperations: 1 } }).up();
    device.client.publish("t", "1");
    device.client.close();
    expect(device.client.publish("t", "2")).toBe(false);
    device.client.on("puback", note(device, "A"));
    expect(device.take()).toEqual(["A"]);
  });

  test("one call for each operation, none behind null (contract 3: slots)", () => {
    const device = new Device().up();
    device.broker.answers = true;
    for (let i = 0; i < 10; i++) device.client.publish("t", "x", i % 3 as 0 | 1 | 2);
    device.client.subscribe("t");
    device.client.unsubscribe("t");
    expect(device.take()).toEqual([...new Array<string>(10).fill("puback"), "suback 0", "unsuback"]);
    for (const name of EVENTS) device.client.on(name, null);
    device.client.publish("t", "x", 2);
    device.client.subscribe("t");
    device.client.unsubscribe("t");
    device.send(message("t", "x"));
    device.client.close();
    expect(device.take()).toEqual([]);
  });

  test("survive completion and reconnects (contract 3: slots)", () => {
    const device = new Device({ listens: false });
    const { client } = device;
    client.connect("b", note(device, "connect"), note(device, "connfail"));
    device.accept();
    device.events.length = 0;
    client.publish("t", "x", 0, 0, note(device, "puback"));
    client.subscribe("t", note(device, "suback"));
    client.unsubscribe("t", note(device, "unsuback"));
    device.send(suback(1, 0), ack("UNSUBACK", 2));
    expect(device.take()).toEqual(["puback", "suback", "unsuback"]);
    for (let i = 1; i < 4; i++) {
      device.socket.reset();
      client.connect("b");
      device.socket.fail("dns");
      client.connect("b");
      device.reach();
      device.send(connack());
      client.publish("t", "x");
      client.subscribe("t");
      client.unsubscribe("t");
      device.send(suback(2 * i + 1, 0), ack("UNSUBACK", 2 * i + 2));
      expect(device.take()).toEqual(["connfail", "connect", "puback", "suback", "unsuback"]);
    }
  });
});

describe("The order of callbacks", () => {
  test("is that of the calls: subscribe, then publish at QoS 0 (contract 3: call-order)", () => {
    const device = new Device().up();
    device.client.subscribe("t");
    device.client.publish("t", "x");
    expect(device.sent()).toEqual(["SUBSCRIBE #1 t:0", "PUBLISH t=x"]);
    device.hal.advance(1000);
    expect(device.take()).toEqual([]);
    device.send(suback(1, 0));
    expect(device.take()).toEqual(["suback 0", "puback"]);
  });

  test("is that of the calls when an acknowledgement comes before QoS 0 had its turn (contract 3: call-order)", () => {
    const device = new Device().up();
    let count = 0;
    device.client.publish("t", "0", 0, 0, () => count++);
    device.client.publish("t", "0");
    device.client.publish("t", "1", 1);
    device.client.subscribe("t");
    device.send(ack("PUBACK", 1), suback(2, 0));
    expect(device.take()).toEqual(["suback 0"]);
    expect(count).toBe(3);
  });

  test("a message at QoS 0 has its outcome also when the connection is gone (contract 4: offline-once)", () => {
    const device = new Device().up();
    device.client.publish("t", "0");
    device.socket.reset();
    device.hal.settle();
    expect(device.take()).toEqual(["puback", "offline -10"]);
  });

  test("is that of the calls, in whatever order acknowledgements come (contract 3: call-order)", () => {
    const answers = [
      [ack("PUBACK", 1)], [suback(2, 1)], [ack("UNSUBACK", 3)], [ack("PUBREC", 4), ack("PUBCOMP", 4)], [suback(5, 2)],
    ];
    for (const order of permutations(answers)) {
      const device = new Device().up();
      const { client } = device;
      client.publish("t", "0");
      client.publish("t", "1", 1);
      client.subscribe("t", 1);
      client.unsubscribe("t");
      client.publish("t", "2", 2);
      client.publish("t", "0");
      client.subscribe("t", 2);
      for (const packets of order) device.send(...packets);
      expect(device.take()).toEqual(["puback", "puback", "suback 1", "unsuback", "puback", "puback", "suback 2"]);
    }
  });

  test("is that of the calls across callbacks of calls made inside callbacks (contract 3: call-order)", () => {
    const device = new Device().answer();
    device.during.connect = () => {
      device.client.subscribe("a");
      device.client.publish("a", "x");
    };
    let count = 0;
    device.during.puback = () => {
      if (count++ > 0) return;
      device.client.unsubscribe("a");
      device.client.publish("a", "y", 1);
    };
    device.during.suback = () => device.client.publish("a", "z", 2);
    device.client.connect("broker");
    expect(device.take()).toEqual(["connect", "suback 0", "puback", "puback", "unsuback", "puback"]);
  });

  test("what is done is told before offline, in order; what is not is not told (contract 3: call-order)", () => {
    const device = new Device().up();
    device.client.subscribe("t");
    device.client.publish("t", "x");
    device.client.publish("t", "y", 1);
    device.client.unsubscribe("t");
    device.send(ack("UNSUBACK", 3));
    device.socket.reset();
    expect(device.take()).toEqual(["puback", "unsuback", "offline -10"]);
  });
});

describe("Operations on the wire", () => {
  test("are pipelined up to maxInflight, one more for each acknowledgement (contract 3: pipelining)", () => {
    const device = new Device({ options: { maxInflight: 3, maxOperations: 32 } }).up();
    const { client } = device;
    for (let i = 1; i <= 4; i++) client.publish("t", `${i}`, i % 2 + 1 as 1 | 2);
    client.subscribe("s");
    client.publish("t", "0");
    client.unsubscribe("u");
    expect(device.sent()).toEqual(["PUBLISH t=1 q2 #1", "PUBLISH t=2 q1 #2", "PUBLISH t=3 q2 #3"]);
    device.send(ack("PUBACK", 2));
    expect(device.sent()).toEqual(["PUBLISH t=4 q1 #4"]);
    device.send(ack("PUBREC", 1));
    expect(device.sent()).toEqual(["PUBREL #1"]);
    device.send(ack("PUBCOMP", 1));
    expect(device.sent()).toEqual(["SUBSCRIBE #5 s:0", "PUBLISH t=0"]);
    device.send(ack("PUBACK", 4));
    expect(device.sent()).toEqual(["UNSUBSCRIBE #6 u"]);
  });

  test("with maxInflight 1 wait for one another, as NodeMCU does it (contract 3: pipelining)", () => {
    const device = new Device({ options: { maxInflight: 1 } }).up();
    device.client.subscribe("a");
    device.client.publish("t", "1", 1);
    device.client.unsubscribe("a");
    expect(device.sent()).toEqual(["SUBSCRIBE #1 a:0"]);
    device.send(suback(1, 0));
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #2"]);
    device.send(ack("PUBACK", 2));
    expect(device.sent()).toEqual(["UNSUBSCRIBE #3 a"]);
  });

  test("are not waited for by acknowledgements, PINGREQ and DISCONNECT (contract 3: pipelining)", () => {
    const device = new Device({ keepalive: 10, options: { maxInflight: 1 } }).up();
    for (let i = 0; i < 5; i++) device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.send(message("t", "y", { qos: 1, id: 8 }), message("t", "z", { qos: 2, id: 9 }), ack("PUBREL", 9));
    expect(device.sent()).toEqual(["PUBACK #8", "PUBREC #9", "PUBCOMP #9"]);
    device.hal.advance(10000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.client.close();
    device.hal.advance(2000);
    // What the window held back goes first; its acknowledgements are not waited for.
    expect(device.sent()).toEqual([
      "PUBLISH t=x q1 #2", "PUBLISH t=x q1 #3", "PUBLISH t=x q1 #4", "PUBLISH t=x q1 #5", "DISCONNECT",
    ]);
    expect(device.take()).toEqual(["message t=y", "message t=z", "offline 0"]);
  });
});

describe("A callback that throws", () => {
  test.each(causes)("%s (%s): the error surfaces, and all goes on (contract 3: throwing)", (name, _, cause) => {
    const device = new Device().answer();
    const error = new Error(name);
    device.during[name] = () => {
      delete device.during[name];
      throw error;
    };
    cause(device);
    device.hal.advance(1000);
    expect(device.takeErrors()).toEqual([error]);
    expect(device.client.connected).toBe(name !== "connfail" && name !== "offline");
    device.events.length = 0;
    if (!device.client.connected) device.client.connect("broker");
    device.hal.settle();
    expect(device.client.connected).toBe(true);
    device.events.length = 0;
    device.client.subscribe("t", 1);
    device.client.publish("t", "x", 1);
    device.client.unsubscribe("t");
    device.hal.settle();
    device.send(message("t", "x"), message("t", "x".repeat(2000)));
    device.client.close();
    expect(device.take().map((line) => line.split(" ")[0])).toEqual(
      ["suback", "puback", "unsuback", "message", "overflow", "offline"],
    );
  });

  test("of a message: it is acknowledged, the rest of the segment is read (contract 3: throwing)", () => {
    const device = new Device({ options: { maxMessageLength: 100 } }).up();
    const fail = (): void => {
      throw new Error("no");
    };
    device.during.message = fail;
    device.during.overflow = fail;
    device.during.puback = fail;
    device.during.suback = fail;
    device.during.unsuback = fail;
    device.client.publish("t", "x", 1);
    device.client.subscribe("t");
    device.client.unsubscribe("t");
    device.client.publish("t", "y", 2);
    device.sent();
    device.send(
      message("t", "1", { qos: 1, id: 1 }),
      ack("PUBACK", 1),
      message("t", "2", { qos: 2, id: 2 }),
      suback(2, 0),
      message("t", "3".repeat(200), { qos: 1, id: 3 }),
      ack("UNSUBACK", 3),
      ack("PUBREL", 2),
      ack("PUBREC", 4),
      message("t", "4"),
      ack("PUBCOMP", 4),
    );
    expect(device.sent()).toEqual(["PUBACK #1", "PUBREC #2", "PUBACK #3", "PUBCOMP #2", "PUBREL #4"]);
    expect(device.take().map((line) => line.slice(0, 12))).toEqual([
      "message t=1", "puback", "message t=2", "suback 0", "overflow t=3", "unsuback", "message t=4", "puback",
    ]);
    expect(device.takeErrors()).toHaveLength(8);
  });

  test("inside a chain of outcomes: each is told (contract 3: throwing)", () => {
    const device = new Device({ listens: false });
    const throwing = (text: string) => () => {
      device.events.push(text);
      throw new Error(text);
    };
    const { client } = device;
    for (const name of EVENTS) client.on(name, throwing(name));
    client.connect("b");
    device.socket.fail("dns");
    client.connect("b");
    device.reach();
    device.send(connack());
    client.publish("t", "x");
    client.publish("t", "y");
    client.close();
    client.connect("b");
    device.hal.settle();
    device.socket.fail("dns");
    const expected = ["connfail", "connect", "puback", "puback", "offline", "connfail"];
    expect(device.take()).toEqual(expected);
    expect(device.takeErrors()).toEqual(expected.map((text) => new Error(text)));
  });
});

describe("message", () => {
  test("has text decoded from UTF-8, undefined for nothing (contract 3: message-data)", () => {
    const device = new Device().up();
    const seen: unknown[] = [];
    device.client.on("message", (...args) => seen.push(args.slice(1, 3)));
    device.send(
      message("ü/☃", "grün ☃ 😀"), message("t", ""), message("t", "\uFEFFmark"), message("t", "nul\0"),
      message("t", "0"),
    );
    // Not UTF-8: each ill-formed sequence becomes U+FFFD.
    device.socket.receive([0x30, 6, 0, 1, 0x74, 0x61, 0xff, 0x62]);
    expect(seen).toEqual([
      ["ü/☃", "grün ☃ 😀"], ["t", undefined], ["t", "\uFEFFmark"], ["t", "nul\0"], ["t", "0"], ["t", "a\uFFFDb"],
    ]);
  });

  test('has the bytes unchanged with format "buffer", undefined for nothing (contract 3: message-data)', () => {
    const device = new Device({ options: { format: "buffer", maxMessageLength: 20 } }).up();
    const seen: unknown[] = [];
    const note = (_: unknown, topic: string, data: Uint8Array | undefined): void => {
      expect(data === undefined || data instanceof Uint8Array).toBe(true);
      seen.push(topic, data?.slice());
    };
    device.client.on("message", note);
    device.client.on("overflow", note);
    const bytes = Array.from({ length: 300 }, (_, i) => i * 7 & 255);
    device.socket.receive([0x30, 11, 0, 1, 0x74, ...bytes.slice(0, 8)], [0x30, 3, 0, 1, 0x75]);
    device.socket.receive([0x30, 0x80 | 47, 2, 0, 1, 0x76, ...bytes]);
    expect(seen).toEqual([
      "t", Uint8Array.from(bytes.slice(0, 8)), "u", undefined, "v", Uint8Array.from(bytes.slice(0, 14)),
    ]);
  });

  test("tells qos, retain, dup and packet id in a fourth argument (contract 3: message-info)", () => {
    const device = new Device({ options: { maxMessageLength: 16 } }).up();
    const seen: MessageInfo[] = [];
    device.client.on("message", (_client, _topic, _data, info) => seen.push({ ...info }));
    device.client.on("overflow", (_client, _topic, _data, info) => seen.push({ ...info }));
    device.send(
      message("t", "x"),
      message("t", "x", { retain: true }),
      message("t", "x", { qos: 1, id: 1 }),
      message("t", "x", { qos: 1, id: 65535, dup: true, retain: true }),
      message("t", "x", { qos: 2, id: 258, dup: true }),
      message("t", "x".repeat(20), { qos: 2, id: 3, retain: true }),
    );
    expect(seen).toEqual([
      { qos: 0, retain: false, dup: false, packetId: 0 },
      { qos: 0, retain: true, dup: false, packetId: 0 },
      { qos: 1, retain: false, dup: false, packetId: 1 },
      { qos: 1, retain: true, dup: true, packetId: 65535 },
      { qos: 2, retain: false, dup: true, packetId: 258 },
      { qos: 2, retain: true, dup: false, packetId: 3 },
    ]);
  });

  test("without a handler is read, acknowledged and forgotten (contract 3: message-data)", () => {
    const device = new Device({ listens: false }).up();
    device.send(message("t", "x", { qos: 1, id: 1 }), message("t", "y", { qos: 2, id: 2 }));
    expect(device.sent()).toEqual(["PUBACK #1", "PUBREC #2"]);
  });

  test("a publish inside its callback does not disturb its data (contract 3: inside-callbacks)", () => {
    const device = new Device({ options: { format: "buffer" } }).up();
    let seen: number[] = [];
    device.client.on("message", (client, _topic, data: Uint8Array) => {
      for (let i = 0; i < 30; i++) client.publish("t", "y".repeat(100));
      seen = [...data];
    });
    device.send(message("t", "x".repeat(500)));
    expect(seen).toEqual(new Array(500).fill(120));
  });
});

function permutations<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) =>
    permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]));
}
