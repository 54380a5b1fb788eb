/**
 * The HAL of ESP8266 boards with the SDK's TLS. EXPERIMENTAL: a handshake takes about 10 KB of chunks and 6 KB of slots
 * of the 32 KB that there are, and a board that runs out of memory resets. `tls_max_fragment_length: 512` helps where
 * the broker grants it.
 */
import TLSSocket from "embedded:io/socket/tcp/tls";
import { board } from "./esp8266.js";
import { createBoardHal, tlsProvider } from "./moddable.js";

const hal = createBoardHal(Object.assign({ tls: tlsProvider(TLSSocket) }, board));

export default hal;
