/**
 * What hal/ needs of the Moddable SDK beside what `@moddable/typings` say of it. Compiled, never run: each
 * `@ts-expect-error` is a place where the published types differ from the SDK (8.2.3), and stops the build when they no
 * longer do, so that the narrow declarations of hal/ecma419.ts can go.
 */
import TCP from "embedded:io/socket/tcp";
import type TLSSocket from "embedded:io/socket/tcp/tls";
import Net from "net";
import TextDecoder from "text/decoder";
import TextEncoder from "text/encoder";
import Time from "time";
import Timer from "timer";
import type { Ecma419Provider, Ecma419Tcp, Ecma419TextModules, Ecma419Timers } from "../../hal/ecma419.js";

declare const tcp: TCP;
declare const tls: TLSSocket;
const bytes = new Uint8Array(8);

// Where they are right, the SDK's modules are what hal/ asks for.
export const provider = { socket: { io: TCP } } satisfies Ecma419Provider;
export const timers = Timer satisfies Ecma419Timers<Timer>;
export const text = { TextDecoder, TextEncoder } satisfies Ecma419TextModules;
export const ticks: number = Time.ticks;
export const connection: Ecma419Tcp = tcp;

// modules/io/socket/lwip/tcp.c, xs_tcp_write: the room that is left, or undefined when the connection is over.
// @ts-expect-error -- published as void
export const room: number = tcp.write(bytes);

// The same file, xs_tcp_read: the count of bytes, when it is given a buffer.
// @ts-expect-error -- published as void
export const count: number = tcp.read(bytes);

// ECMA-419 (clause 11.2) has noDelay; the SDK reads nodelay alone. hal/ passes both.
// @ts-expect-error -- published without it
export const options = new TCP({ address: "192.0.2.1", port: 1883, noDelay: true });

// examples/io/tcp/tlssocket/tlssocket.js takes views, and its session does so for writing.
// @ts-expect-error -- published for ArrayBuffer alone
tls.read(bytes);
// @ts-expect-error -- published for ArrayBuffer alone
tls.write(bytes);

// modules/network/net/esp/modNet.c: undefined while there is no network interface.
export const address = Net.get("MAC");
// @ts-expect-error -- published as a string always
export const isMissing: undefined extends typeof address ? true : false = true;
