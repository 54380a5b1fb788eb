/**
 * A stand-in for the Moddable SDK's class `embedded:network/websocket/client`, of its documented interface and as
 * careless as SDK 8.2.3 is: any subprotocol and any length of an answer will do, what comes while a frame is unread is
 * forgotten, a frame's length may be more than 31 bits, and it throws where the connection below does.
 *
 * Plain script, so that it runs on XS as well.
 */

interface Timers {
  set(callback: () => void, delayMs: number): unknown;
  clear(timer: unknown): void;
}

interface Lower {
  format: string;
  read(view?: Uint8Array): number | undefined;
  write(bytes: Uint8Array): number | undefined;
  close(): void;
}

interface Options {
  host: string;
  port: number;
  path?: string;
  protocol?: string;
  headers?: Iterable<string[]>;
  dns: { io: new (options: object) => Resolver };
  socket: { io: new (options: object) => Lower };
  onReadable?: (count: number, options: { more: boolean; binary: boolean }) => void;
  onWritable?: (count: number) => void;
  onControl?: (opcode: number, data: ArrayBuffer) => void;
  onClose?: () => void;
  onError?: () => void;
}

interface Resolver {
  resolve(request: { host: string; onResolved(host: string, address: string): void; onError(): void }): void;
}

/** A frame whose header, or whose payload, has come in part. */
interface Frame {
  header: number[];
  /** Of the payload, what is missing; undefined while the header is. */
  left: number | undefined;
  control: number[];
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** What a header, complete, says of the length of its payload; as the SDK reckons, in 32 bits. */
function lengthOf(header: number[]): number {
  const [, second, ...more] = header;
  const short = second & 0x7f;
  return short < 126 ? short : more.slice(0, short === 126 ? 2 : 8).reduce((sum, byte) => (sum << 8) | byte, 0);
}

export function webSocketClient(timers: Timers): new (options: Options) => object {
  return class WebSocketClient {
    readonly #options: Options;
    #lower: Lower | undefined;
    #state = "connecting";
    #line = "";
    #flags = 0;
    #room = 0;
    /** Of the frame that was announced, bytes that are unread; and those behind it. */
    #unread = 0;
    #behind = 0;
    #binary = true;
    #frame: Frame | undefined;
    #timer: unknown;
    #answer: { opcode: number; data: number[] } | undefined;
    #answerTimer: unknown;

    constructor(options: Options) {
      this.#options = options;
      const resolver = new options.dns.io(options.dns);
      resolver.resolve({
        host: options.host,
        onResolved: (host, address) => {
          try {
            this.#lower = new options.socket.io({
              ...options.socket,
              address,
              host,
              port: options.port,
              onReadable: (count: number) => this.#onReadable(count),
              onWritable: (count: number) => this.#onWritable(count),
              onError: () => this.#onError(),
            });
          } catch {
            this.#onError();
          }
        },
        onError: () => this.#onError(),
      });
    }

    close(): void {
      this.#state = "closed";
      this.#lower?.close();
      this.#lower = undefined;
      for (const timer of [this.#timer, this.#answerTimer]) if (timer !== undefined) timers.clear(timer);
    }

    write(data: Uint8Array | ArrayBuffer, { opcode = 2 } = {}): number {
      const payload = data instanceof Uint8Array ? data : new Uint8Array(data);
      const { length } = payload;
      const extended = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : undefined;
      if (extended === undefined) throw new Error("no board writes so much");
      const total = 1 + extended.length + 4 + length;
      if (this.#state !== "connected" || total > this.#room) throw new Error("write");
      const mask = Array.from({ length: 4 }, () => Math.floor(Math.random() * 256));
      extended[0] |= 0x80;
      const bytes = new Uint8Array(total);
      bytes.set([0x80 | opcode, ...extended, ...mask]);
      payload.forEach((byte, i) => (bytes[total - length + i] = byte ^ mask[i & 3]));
      this.#lower!.format = "buffer";
      this.#room = this.#lower!.write(bytes)!;
      return this.#room > 14 ? this.#room - 14 : 0;
    }

    read(view: Uint8Array): number | undefined {
      if (this.#unread === 0) return undefined;
      this.#lower!.format = "buffer"; // a TypeError when it is closed
      const count = this.#lower!.read(view)!;
      this.#unread -= count;
      if (this.#unread === 0 && this.#behind > 0) this.#timer = timers.set(() => this.#onReadable(this.#behind), 0);
      return count;
    }

    #byte(): number {
      this.#lower!.format = "number";
      return this.#lower!.read()!;
    }

    #onReadable(count: number): void {
      if (this.#state === "answering") {
        while (count > 0 && this.#state === "answering") {
          this.#line += String.fromCharCode(this.#byte());
          count--;
          if (this.#line.endsWith("\n")) this.#readLine();
        }
      }
      if (this.#state === "connected" && count > 0) this.#readFrames(count);
    }

    #readLine(): void {
      const line = this.#line;
      this.#line = "";
      if (this.#flags === 0) {
        if (line.split(" ")[1] !== "101") return this.#onError();
        this.#flags = 8;
      } else if (line !== "\r\n") {
        const [name, value] = line.split(":").map((part) => part.trim().toLowerCase());
        if (name === "connection" && value === "upgrade") this.#flags |= 1;
        if (name === "sec-websocket-accept") this.#flags |= 2;
        if (name === "upgrade" && value === "websocket") this.#flags |= 4;
      } else if (this.#flags !== 15) {
        this.#onError();
      } else {
        this.#state = "connected";
        if (this.#room > 8) this.#options.onWritable?.call(this, this.#room - 8);
      }
    }

    #readFrames(available: number): void {
      let count = available;
      if (this.#timer !== undefined) timers.clear(this.#timer);
      this.#timer = undefined;
      if (this.#unread > 0) return; // forgotten
      while (count > 0 && this.#lower !== undefined) {
        this.#frame ??= { header: [], left: undefined, control: [] };
        const frame = this.#frame;
        const { header } = frame;
        if (frame.left === undefined) {
          header.push(this.#byte());
          count--;
          if (header.length === 1 && (header[0] & 0x70 || ![0, 1, 2, 8, 9, 10].includes(header[0] & 15))) {
            return this.#onError();
          }
          if (header.length < 2) continue;
          const short = header[1] & 0x7f;
          const masked = header[1] & 0x80 ? 4 : 0;
          if (header.length < 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + masked) continue;
          frame.left = lengthOf(header);
          if ((header[0] & 15) === 1) this.#binary = false;
          if ((header[0] & 15) === 2) this.#binary = true;
        }
        if (header[0] & 8) {
          for (; count > 0 && frame.left > 0; count--, frame.left--) frame.control.push(this.#byte());
          if (frame.left > 0) return;
          this.#frame = undefined;
          this.#onControl(header[0] & 15, frame.control);
          continue;
        }
        const read = frame.left <= count ? frame.left : count;
        const more = frame.left > count || !(header[0] & 0x80);
        if (frame.left <= count) this.#frame = undefined;
        else frame.left -= count;
        this.#unread = read;
        this.#behind = 0;
        this.#options.onReadable?.call(this, read, { more, binary: this.#binary });
        count -= read - this.#unread;
        if (this.#unread !== 0) {
          this.#behind = count - this.#unread;
          return;
        }
      }
    }

    #onControl(opcode: number, data: number[]): void {
      try {
        this.#options.onControl?.call(this, opcode, Uint8Array.from(data).buffer);
      } catch {
        // As it is there.
      }
      if (opcode === 10) return;
      this.#answer ??= { opcode: opcode === 9 ? 10 : 8, data };
      this.#answerTimer ??= timers.set(() => this.#onWritable(this.#room), 0);
    }

    #onWritable(count: number): void {
      const options = this.#options;
      this.#room = count;
      if (this.#state === "connecting") {
        const lines = [
          `GET ${options.path ?? "/"} HTTP/1.1`,
          `Host: ${options.host}`,
          "Upgrade: websocket",
          "Connection: keep-alive, Upgrade",
          "Sec-WebSocket-Version: 13",
          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
          `Sec-WebSocket-Protocol: ${options.protocol ?? ""}`,
          ...Array.from(options.headers ?? [], ([name, value]) => `${name}: ${value}`),
        ];
        this.#room = this.#lower!.write(ascii(lines.join("\r\n") + "\r\n\r\n"))!;
        this.#state = "answering";
      } else if (this.#state === "connected") {
        const answer = this.#answer;
        if (answer !== undefined) {
          if (answer.data.length + 6 > this.#room) return;
          this.#answer = this.#answerTimer = undefined;
          this.#room = this.write(Uint8Array.from(answer.data), { opcode: answer.opcode });
          if (answer.opcode === 8) {
            this.#state = "closing";
            this.#timer = timers.set(() => {
              this.close();
              options.onClose?.call(this);
            }, 1000);
          }
        }
        options.onWritable?.call(this, this.#room > 8 ? this.#room - 8 : 0);
      }
    }

    #onError(): void {
      this.close();
      this.#options.onError?.call(this);
    }
  };
}
