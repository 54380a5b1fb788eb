/** u8-mqtt has no declarations; what the benchmark uses of it. */
declare module "u8-mqtt/esm/node/v4.js" {
  import type { Duplex } from "node:stream";

  interface Publish {
    topic: string;
    payload: Uint8Array;
    qos: number;
  }

  interface Client {
    with_stream(stream: Duplex): Client;
    on_topic(route: string, handler: (packet: { payload: Uint8Array }) => void): Client;
    connect(packet: { client_id: string; keep_alive: number }): Promise<unknown>;
    subscribe(packet: { topics: { topic: string; opts: number }[] }): Promise<unknown>;
    pub(packet: Publish): Promise<unknown>;
    _send(type: "publish", packet: Publish): Promise<unknown>;
    disconnect(): Promise<unknown>;
  }

  export default function mqtt(options: { log_conn: () => void }): Client;
}
