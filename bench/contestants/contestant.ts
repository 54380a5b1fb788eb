/**
 * What a contestant is. Each has one file beside this one, named like it, with a default export of this type; what it
 * cannot do is left out, and its cells in the tables stay empty. What it needs to be fast it gets, and `given` says so.
 */

/** A PUBLISH. */
export interface Message {
  topic: string;
  payload: Uint8Array;
  qos: 0 | 1 | 2;
}

/** Encodes one PUBLISH again and again, at QoS 1 with packet id 1. */
export interface ContestantEncoder {
  /** Encodes the message as it is now, and returns the packet's length. Its topic changes, and nothing else. */
  encode(): number;
  /** The packet that `encode` would write now. */
  packet(): Uint8Array;
}

/** What a client is to be. */
export interface ClientSettings {
  clientId: string;
  /** Most messages that wait for their acknowledgement at the same time. */
  window: number;
  /** Called for each message that comes, with its payload as bytes, which are the contestant's own. */
  onMessage: (payload: Uint8Array) => void;
}

/** A client whose connection is accepted. */
export interface ContestantClient {
  /** Resolves when the broker has granted it. */
  subscribe(filter: string, qos: 0 | 1 | 2): Promise<void>;
  /** Calls `done` when the message was sent (QoS 0) or acknowledged. The caller keeps to the window. */
  publish(message: Message, done: () => void): void;
  /** Resolves when the connection is closed, with DISCONNECT where there is one. */
  end(): Promise<void>;
  /** Connects once more after `end`. */
  again?(): Promise<void>;
}

export interface Contestant {
  /** What the tables call it. */
  name: string;
  /** What it was given to be fast, for the notes below the tables; a sentence. */
  given: string;
  encoder?(message: Message): ContestantEncoder;
  /** A function that takes chunks of a stream. `onMessage` is called for each PUBLISH; nothing is handed over. */
  rangeDecoder?(onMessage: () => void): (chunk: Uint8Array) => void;
  /** The same, and topic and payload are handed over, to be used during the call. */
  messageDecoder?(onMessage: (topic: string, payload: Uint8Array) => void): (chunk: Uint8Array) => void;
  /** Connects to a broker on the loopback interface, without TLS and credentials. */
  connect?(port: number, settings: ClientSettings): Promise<ContestantClient>;
  /** What can be measured only as a process of its own. */
  program?: Program;
}

/** Each resolves with the process's time in milliseconds when it has ended; undefined where it is not installed. */
export interface Program {
  publish(port: number, message: Message, window: number, count: number): Promise<number | undefined>;
  /** Ends when `count` messages came. */
  receive(port: number, filter: string, qos: 0 | 1 | 2, count: number): Promise<number | undefined>;
}
