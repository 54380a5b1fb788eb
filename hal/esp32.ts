/**
 * The HAL of ESP32 boards, on the Moddable SDK.
 *
 * TLS is the SDK's own, 1.2, with the certificate authorities of the SDK, or `certificate`. A handshake takes about
 * 10 KB of chunks, 6 KB of slots and 4 KB of stack for a moment.
 */
import TLSSocket from "embedded:io/socket/tcp/tls";
import { createBoardHal, tlsProvider } from "./moddable.js";

const hal = createBoardHal({
  tls: tlsProvider(TLSSocket),
  // lwip's segment is 1,436 bytes, its send buffer and its window 8,192 (xsProj-esp32/sdkconfig.defaults).
  defaults: { rxCapacity: 1536, txCapacity: 4096, maxOperations: 32, receiveMaximum: 32 },
  // With SDK 8.2.3 it can crash when sockets are opened and closed in a tight loop, or closed with bytes in flight.
  openDelayMs: 50,
  drainMs: 2000,
});

export default hal;
