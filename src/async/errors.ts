/**
 * Why a promise was rejected: one error type, with NodeMCU's and MQTT's own numbers, and words for them.
 *
 * A caller's mistake is none of these: it throws a TypeError or RangeError from the call itself.
 */
import * as codes from "../errors.js";
import { isNil } from "../arguments.js";
import type { Outcome } from "../optional/outcomes.js";
import type { ReceivedProperties } from "../v5/properties.js";

/** There is no session, and the message cannot wait for one. */
export const NOT_CONNECTED = -60;
/** The queue of operations, the table of subscriptions or the one place for a large message is taken. */
export const QUEUE_FULL = -61;
/** The acknowledgement, or what else was waited for, did not come in time. */
export const TIMED_OUT = -62;
/** Its AbortSignal was aborted. */
export const ABORTED = -63;
/** The operation ended with its connection, was too old, or made room; `outcome` says which. */
export const NOT_DELIVERED = -64;

const TEXTS: Record<number, string> = {
  [codes.CONN_FAIL_SERVER_NOT_FOUND]: "the broker cannot be reached",
  [codes.CONN_FAIL_NOT_A_CONNACK_MSG]: "what answered is no MQTT broker",
  [codes.CONN_FAIL_DNS]: "the host name was not resolved",
  [codes.CONN_FAIL_TIMEOUT_RECEIVING]: "the broker did not answer CONNECT in time",
  [codes.CONN_FAIL_TIMEOUT_SENDING]: "the network did not take CONNECT in time",
  [codes.CONNACK_REFUSED_PROTOCOL_VER]: "refused: the broker does not speak this version of MQTT",
  [codes.CONNACK_REFUSED_ID_REJECTED]: "refused: the broker does not want this client identifier",
  [codes.CONNACK_REFUSED_SERVER_UNAVAILABLE]: "refused: the broker is not available",
  [codes.CONNACK_REFUSED_BAD_USER_OR_PASS]: "refused: wrong username or password",
  [codes.CONNACK_REFUSED_NOT_AUTHORIZED]: "refused: not authorized",
  [codes.END_BY_APPLICATION]: "disconnected",
  [codes.END_BY_PEER]: "the connection was lost",
  [codes.END_PINGRESP_OVERDUE]: "the broker did not answer PINGREQ in time",
  [codes.END_ACK_OVERDUE]: "an acknowledgement did not come in time",
  [codes.END_RECEIVE_MAXIMUM]: "the broker sent more unacknowledged messages than receiveMaximum",
  [NOT_CONNECTED]: "not connected",
  [QUEUE_FULL]: "the queue is full",
  [TIMED_OUT]: "no answer in time",
  [ABORTED]: "aborted",
};

/** Return codes of 3.1.1 that mean the same as a reason code of MQTT 5, from 0x84 on. */
const SAME = [1, 2, 4, 5, 3];

/** What `reason` means. */
export function describeReason(reason: number): string {
  const text = TEXTS[SAME[reason - 0x84] ?? reason] as string | undefined;
  if (text !== undefined) return text;
  if (reason >= 0x80) return `refused with reason code 0x${reason.toString(16)}`;
  return reason > 0 ? `refused with return code ${reason}` : `the broker broke the protocol (${reason})`;
}

/** What an operation, an attempt to connect or a ping was rejected with. */
export class MqttError extends Error {
  declare readonly name: "MqttError";
  /**
   * -5..-1: the attempt failed (`CONN_FAIL_...`); 1..5: the return code of CONNACK; -10 and below: why the session
   * ended (`END_...`, or what a decoder found); -60 and below: `NOT_CONNECTED`, `QUEUE_FULL`, `TIMED_OUT`, `ABORTED`,
   * `NOT_DELIVERED`. From 0x80 on, with MQTT 5: the reason code of a CONNACK, an acknowledgement or a DISCONNECT, or
   * the one of what is beyond the broker's limits.
   */
  readonly reason: number;
  /** The platform's own error, where it has one; the reason of an AbortSignal; or what the broker has said beside. */
  readonly detail: unknown;
  /** `reason`, where it is a reason code of MQTT 5. */
  readonly reasonCode: number | undefined;
  /** Of a message: its packet id, 0 at QoS 0. */
  packetId = 0;
  /** Of an operation that had been accepted: what became of it. "kept": its session has it, and will send it. */
  outcome: Outcome | "kept" | "unknown" | undefined = undefined;

  constructor(reason: number, detail?: unknown, text?: string) {
    const why = detail instanceof Error ? detail.message : (detail as ReceivedProperties | undefined)?.reasonString;
    super((text ?? describeReason(reason)) + (isNil(why) || why === "" ? "" : ` (${why})`));
    // Not by assignment, which fails where the engine's own prototypes are frozen.
    Object.defineProperty(this, "name", { value: "MqttError" });
    this.reason = reason;
    this.reasonCode = reason >= 0x80 ? reason : undefined;
    this.detail = detail;
  }
}
