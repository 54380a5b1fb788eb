/** Attempts to connect to what is no broker. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, describe, expect, it, jest } from "@jest/globals";
import mqtt from "mcu-mqtt";
import { HOST } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import { Device, removeDevices } from "./device.js";

jest.setTimeout(60000);

const servers: Server[] = [];
const sockets: Socket[] = [];

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  await once(server.listen(0, HOST), "listening");
  return (server.address() as AddressInfo).port;
}

/** Does this once CONNECT, or whatever it is that the client sends first, has come. */
function answering(answer: (socket: Socket) => void): Promise<number> {
  return listen(createServer((socket) => socket.once("data", () => answer(socket))));
}

afterEach(async () => {
  removeDevices();
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => once(server.close(), "close")));
});

describe("an attempt fails, once, and nothing else is called,", () => {
  const attempt = async (port: number, secure?: object, device = new Device(), host = HOST): Promise<number> => {
    const outcome = await device.attempt(port, secure, host);
    // Time for what should not come: another attempt, to the end.
    expect(await device.attempt(await closedPort())).toBe("connfail -5");
    expect(device.outcomes.length).toBe(2);
    return Number(outcome.replace("connfail ", ""));
  };

  const closedPort = async (): Promise<number> => {
    const server = createServer();
    await once(server.listen(0, HOST), "listening");
    const { port } = server.address() as AddressInfo;
    await once(server.close(), "close");
    return port;
  };

  it("with -3 when the name is not known", async () => {
    for (const name of ["no-such-host.invalid", `${"x".repeat(64)}.invalid`, "two..dots"]) {
      expect(await attempt(1883, undefined, new Device(), name)).toBe(mqtt.CONN_FAIL_DNS);
    }
  });

  it("with -3 when the name is not known, with TLS", async () => {
    expect(await attempt(8883, {}, new Device(), "no-such-host.invalid")).toBe(mqtt.CONN_FAIL_DNS);
  });

  it("with -5 when nobody listens", async () => {
    expect(await attempt(await closedPort())).toBe(mqtt.CONN_FAIL_SERVER_NOT_FOUND);
    expect(await attempt(await closedPort(), {})).toBe(mqtt.CONN_FAIL_SERVER_NOT_FOUND);
  });

  it("with -5 when the server closes, or resets, before CONNACK", async () => {
    expect(await attempt(await listen(createServer((socket) => socket.end())))).toBe(-5);
    expect(await attempt(await answering((socket) => socket.end()))).toBe(-5);
    expect(await attempt(await answering((socket) => socket.resetAndDestroy()))).toBe(-5);
    expect(await attempt(await answering((socket) => socket.end(Buffer.of(0x20, 2))))).toBe(-5);
  });

  it("with -4 when a web server answers", async () => {
    expect(await attempt(await listen(createHttpServer()))).toBe(mqtt.CONN_FAIL_NOT_A_CONNACK_MSG);
  });

  it.each([
    ["PINGRESP", [0xd0, 0]],
    ["SUBACK", [0x90, 3, 0, 1, 0]],
    ["PUBLISH", [0x30, 4, 0, 1, 97, 98]],
    ["PUBLISH, the beginning of a long one,", [0x30, 0xff, 0x7f, 0, 1, 97, 98]],
    ["CONNACK with a reserved flag", [0x21, 2, 0, 0]],
    ["CONNACK of three bytes", [0x20, 3, 0, 0, 0]],
    ["one of a type that there is not", [0xf0, 0]],
  ])("with -4 when the first packet is %s", async (_, bytes) => {
    expect(await attempt(await answering((socket) => socket.write(Buffer.from(bytes))))).toBe(-4);
  });

  it("with -4 when a server greets that speaks something else, and hangs up", async () => {
    expect(await attempt(await answering((socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")))).toBe(-4);
  });

  it("with the code of CONNACK", async () => {
    for (const code of [1, 2, 3, 4, 5, 6, 255]) {
      const port = await answering((socket) => socket.end(Buffer.of(0x20, 2, 0, code)));
      expect(await attempt(port)).toBe(code);
    }
  });

  it("with -5 when a TLS server, or its certificate, is not to be trusted", async () => {
    const { ca, otherCa, expired, wrongHost, server } = certificates();
    for (const [certificate, trusted] of [[expired, ca], [wrongHost, ca], [server, otherCa]]) {
      const port = await listen(createTlsServer(certificate));
      expect(await attempt(port, { ca: trusted.cert })).toBe(-5);
    }
    expect(await attempt(await listen(createHttpServer()), {})).toBe(-5);
  });

  it("with -5 when a TLS handshake goes on for too long", async () => {
    const device = new Device({ options: { connectTimeoutMs: 200 } });
    expect(await attempt(await answering(() => {}), {}, device)).toBe(mqtt.CONN_FAIL_SERVER_NOT_FOUND);
  });

  it("with -2 when a server says nothing for 5 s, or no end of CONNACK", async () => {
    const silent = await listen(createServer());
    const slow = await answering((socket) => socket.write(Buffer.of(0x20, 2, 0)));
    const start = performance.now();
    // By a timer that is as late as this machine makes it.
    const due = new Promise<number>((resolve) => setTimeout(() => resolve(performance.now()), 5000));
    expect(await Promise.all([attempt(silent), attempt(slow)])).toEqual([-2, -2]);
    expect(performance.now() - start).toBeGreaterThan(4900);
    expect(performance.now()).toBeLessThan((await due) + 2000);
  });
});

it("an attempt that is superseded has no outcome; the later one has its own", async () => {
  const device = new Device();
  device.client.connect(HOST, await listen(createServer()));
  const port = await answering((socket) => socket.write(Buffer.of(0x20, 2, 0, 0)));
  expect(await device.attempt(port)).toBe("connect");
  device.client.abort();
  await device.offline();
  expect(device.outcomes).toEqual(["connect", "offline 0"]);
});

it("a session that breaks is offline, never connfail: closed, reset, or with what is no packet", async () => {
  const ends: ((socket: Socket) => void)[] = [
    (socket) => socket.end(),
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
    (socket) => socket.write(Buffer.of(0x20, 2, 0, 0)),
  ];
  for (const end of ends) {
    const port = await answering((socket) => {
      socket.write(Buffer.of(0x20, 2, 0, 0));
      socket.once("data", () => end(socket));
    });
    const device = await new Device().connect(port);
    device.offer("any", "x");
    await device.offline();
    expect(device.outcomes.join()).toMatch(/^connect,offline -\d\d$/);
  }
});
