/**
 * A link between a connection and who listened to it: passes on what it hears. What an optional module has to do when
 * something happens is an override of one of its methods.
 */
import type { Client } from "../client.js";
import type { Connection, ConnectionHandler } from "../connection.js";

export class Link implements ConnectionHandler {
  protected readonly connection: Connection;
  private readonly _next: ConnectionHandler;

  /** Stands between `client` and its connection from now on. */
  constructor(client: Client) {
    this.connection = client.connection;
    this._next = this.connection.handler;
    this.connection.handler = this;
  }

  onConnect(sessionPresent: boolean): void {
    this._next.onConnect(sessionPresent);
  }

  onConnectFail(reason: number, detail: unknown): void {
    this._next.onConnectFail(reason, detail);
  }

  onOffline(reason: number): void {
    this._next.onOffline(reason);
  }

  onMessage(
    topic: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    flags: number,
    packetId: number,
    offset: number,
    total: number,
  ): void {
    this._next.onMessage(topic, bytes, start, end, flags, packetId, offset, total);
  }

  wantsData(): boolean {
    return this._next.wantsData();
  }

  onDrain(isDrained: boolean): void {
    this._next.onDrain(isDrained);
  }

  listens(type: number): boolean {
    return this._next.listens(type);
  }

  onDone(type: number, granted: Uint8Array | undefined): void {
    this._next.onDone(type, granted);
  }
}
