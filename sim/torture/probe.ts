/** What the simulator sees of a client beside its public face: how much of its memory is in use. */
import type { Client } from "../../src/face.js";

/** As far as it matters here; the names are those of src. */
interface Inside {
  connection: {
    session: {
      outbox: {
        arena: Uint8Array;
        operations: number;
        atOnce: number;
        tail: number;
        inflight: number;
        _live: number;
        lastPacketId: number;
        free: number;
      };
      control: Uint8Array;
      _controlEnd: number;
      receivedEnd: number;
    };
    rx: Uint8Array;
    _rxStart: number;
    _rxEnd: number;
    _gathered: number;
  };
}

/** Where the control buffer ends and the received packet ids begin, as in src/session.ts. */
const CONTROL_CAPACITY = 64;

export class Probe {
  private readonly _inside: Inside["connection"];
  private readonly _maxOperations: number;
  private readonly _bytes: number;

  constructor(client: Client, maxOperations: number) {
    this._inside = (client as unknown as Inside).connection;
    this._maxOperations = maxOperations;
    this._bytes = this._size();
  }

  /** What is beyond its capacity, or "". */
  check(): string {
    const { session, rx, _rxEnd: rxEnd, _gathered: gathered } = this._inside;
    const { outbox } = session;
    const { operations, atOnce, tail, inflight, _live: live } = outbox;
    if (operations < 0 || operations + atOnce > this._maxOperations) {
      return `memory: ${operations} operations and ${atOnce} at once, maxOperations is ${this._maxOperations}`;
    }
    if (inflight < 0 || inflight > operations) return `memory: ${inflight} of ${operations} operations in flight`;
    if (tail < 0 || tail > outbox.arena.length || live < 0 || live > tail) {
      return `memory: ${live} bytes live, ${tail} in use, txCapacity is ${outbox.arena.length}`;
    }
    if (session._controlEnd > CONTROL_CAPACITY || session.receivedEnd > session.control.length) {
      return "memory: acknowledgements or received packet ids beyond their capacity";
    }
    if (rxEnd > rx.length || gathered > rx.length) return "memory: beyond the receive buffer";
    return this._size() === this._bytes ? "" : "memory: a buffer has another size than at construction";
  }

  /** Something was received that could be read. */
  get isUnread(): boolean {
    const { session, _rxStart: rxStart, _rxEnd: rxEnd } = this._inside;
    return rxStart < rxEnd && session._controlEnd === 0;
  }

  /** No acknowledgement is to leave. */
  get hasAcknowledged(): boolean {
    return this._inside.session._controlEnd === 0;
  }

  /** Nothing is queued, and nothing takes room. */
  get isEmpty(): boolean {
    const { operations, atOnce, tail, _live: live, inflight } = this._inside.session.outbox;
    return operations === 0 && atOnce === 0 && tail === 0 && live === 0 && inflight === 0;
  }

  /**
   * As if some 65,000 operations had passed since the beginning: the next packet ids are those in use, or close behind
   * the wrap.
   */
  age(packetId: number): void {
    const { outbox } = this._inside.session;
    outbox.lastPacketId = packetId;
    if (outbox.operations > 0) outbox.free = 0;
  }

  /** The packet id given last. */
  get lastPacketId(): number {
    return this._inside.session.outbox.lastPacketId;
  }

  private _size(): number {
    const { session, rx } = this._inside;
    return rx.length + session.outbox.arena.length + session.control.length;
  }
}
