/**
 * A connection with MQTT 5: keeps the properties of a message until all of it is there, and passes on to the face what
 * 3.1.1 does not have.
 *
 * Becomes one of MQTT 5 while it is constructed, by `begin`, which the codec calls.
 */
import type { Callbacks } from "../callbacks.js";
import { Connection } from "../connection.js";
import { END_BY_APPLICATION } from "../errors.js";
import { LENGTH } from "../outbox.js";
import { LEAVING } from "../session.js";
import { CONNACK } from "../wire.js";
import { become } from "./become.js";
import { Callbacks5 } from "./client.js";
import type { Session5, SessionHandler5 } from "./session.js";

export class Connection5 extends Connection implements SessionHandler5 {
  declare readonly session: Session5;
  /** Undefined: who listens is no face of this library. */
  private declare _face: Callbacks5 | undefined;
  /** Bytes of properties at the front of the receive buffer. */
  private declare _kept: number;
  /** What is known of why the attempt fails: the properties of a CONNACK that refuses, or an error. */
  declare detail: unknown;

  /** What its constructor would do. */
  begin(session: Session5): void {
    this._kept = 0;
    this.detail = this._face = undefined;
    session.clock = this._hal;
    session.maxPacketSize = this._maxMessageLength;
    const face = this.handler as Callbacks;
    if ((face._client as unknown) === undefined) return;
    this._face = become(face, Callbacks5);
    this._face.begin(session.said);
  }

  override onMessage(
    topic: string,
    flags: number,
    packetId: number,
    payloadLength: number,
    packetLength: number,
  ): void {
    super.onMessage(topic, flags, packetId, payloadLength, packetLength);
    const properties = this.session.said;
    const kept = properties.end - properties.start;
    // They lie in front of the payload, of which no byte has been taken yet.
    this.rx.copyWithin(0, properties.start, properties.end);
    properties.start = 0;
    properties.end = this._kept = this._gathered = kept;
    if (this._offset < 0) this._wanted += kept;
  }

  override _hand(bytes: Uint8Array, start: number, end: number): void {
    const isPiece = this._offset >= 0;
    // Behind the last piece, what is kept is not needed any more.
    if (isPiece && this._offset + end - start === this._wanted) this._gathered = 0;
    super._hand(bytes, isPiece ? start : start + this._kept, end);
  }

  override onDone(): void {
    const session = this.session;
    const outbox = session.outbox;
    // What the callbacks queue and send meanwhile has its turn later, lest they keep the platform waiting for ever.
    for (let left = outbox.operations + outbox.atOnce; left > 0; left--) {
      const type = outbox.doneType;
      if (type < 0) return;
      // Reason codes are what remains of the packet.
      const hasCodes = outbox.atOnce === 0 && outbox.table[outbox._head + LENGTH] > 0;
      const codes = hasCodes ? session.grantedCodes() : undefined;
      outbox.dropDone();
      this.handler.onDone(type, codes);
    }
  }

  override _finish(reason: number, detail?: unknown): void {
    // A connection that ends before DISCONNECT has left ends for the reason that it was to say.
    const session = this.session;
    const isOwn = session._phase === LEAVING && session._endReason !== END_BY_APPLICATION;
    super._finish(isOwn ? session._endReason : reason, this.detail || detail);
    this.detail = undefined;
  }

  onProperties(type: number, packetId: number): void {
    const session = this.session;
    if (type === CONNACK && session.decoder.code !== 0) this.detail = session.said.toObject();
    if (this._face) this._face.onProperties(type, packetId);
  }

  onDisconnect(reasonCode: number): void {
    if (this._face) this._face.onDisconnect(reasonCode);
  }

  onClientId(clientId: string): void {
    if (this._face) this._face.onClientId(clientId);
  }
}
