/** Modules of the Moddable SDK (8.2) that the published types do not have, as far as they are used here. */

declare module "embedded:network/interface/wifi" {
  export default class WiFi {
    constructor(options: { onChanged: (property: "connection" | "address") => void });
    connect(options: { SSID: string; password?: string }): void;
    disconnect(): void;
    /** 200 disconnected, 300 connecting, 400 connected, 500 with an address. */
    readonly connection: number;
    readonly address: string | undefined;
  }
}

declare module "embedded:storage/key-value" {
  /** Of one path. Only the format "buffer" is used. */
  interface Storage {
    /** undefined when there is no such key. */
    read(key: string): ArrayBuffer | undefined;
    write(key: string, value: Uint8Array): void;
    delete(key: string): void;
  }
  const KeyValue: { open(options: { path: string; format: "buffer" }): Storage };
  export default KeyValue;
}

declare module "crypt" {
  class Digest {
    constructor(algorithm: string);
    write(bytes: ArrayBufferLike | ArrayBufferView): void;
    close(): ArrayBuffer;
  }
  export { Digest };
}

/** Of examples/sleep: firmware in C. */
declare module "deep-sleep" {
  export default function deepSleep(ms: number): void;
}

declare module "embedded:network/websocket/client" {
  export default class WebSocketClient {
    constructor(options: {
      host: string;
      port: number;
      path: string;
      protocol: string;
      headers: string[][];
      dns: { io: new (options: never) => unknown };
      socket: { io: new (options: never) => unknown };
      onReadable: (count: number, options: { more: boolean; binary: boolean }) => void;
      onWritable: (count: number) => void;
      onClose: () => void;
      onError: () => void;
    });
    read(bytes: Uint8Array): number | undefined;
    write(bytes: Uint8Array): number;
    close(): void;
  }
}
