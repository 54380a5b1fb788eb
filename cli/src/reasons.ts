/** The library's numbers in words: why a connection did not come up, and why one ended. */
import {
  CONN_FAIL_DNS,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  CONN_FAIL_TIMEOUT_RECEIVING,
  CONN_FAIL_TIMEOUT_SENDING,
  END_ACK_OVERDUE,
  END_BY_PEER,
  END_PINGRESP_OVERDUE,
  END_RECEIVE_MAXIMUM,
} from "../../src/errors.js";
import { messageOf } from "./failure.js";

/** Return codes of CONNACK (3.2.2.3). */
const REFUSED = [
  "",
  "it does not speak this version of MQTT",
  "it does not accept the client identifier",
  "it is not available",
  "user or password is wrong",
  "not authorized",
];

/** Why an attempt failed: `reason` is one of NodeMCU's, or above 0 the return code of CONNACK. */
export function describeConnectFailure(reason: number, detail: unknown, host: string, port: number): string {
  const broker = `${host}, port ${port}`;
  const because = detail === undefined ? "" : ` (${messageOf(detail)})`;
  if (reason > 0) return `the broker refused the connection: ${REFUSED[reason] ?? "why, is unknown"} (code ${reason})`;
  if (reason === CONN_FAIL_DNS) return `the name of the host was not found: ${host}${because}`;
  if (reason === CONN_FAIL_NOT_A_CONNACK_MSG) return `what answers at ${broker} is not an MQTT broker`;
  if (reason === CONN_FAIL_TIMEOUT_RECEIVING) return `no answer to CONNECT came from ${broker}`;
  if (reason === CONN_FAIL_TIMEOUT_SENDING) return `the network took no CONNECT for ${broker}`;
  return `cannot connect to ${broker}${because || ": no answer in time"}`;
}

/** Why a session ended. */
export function describeLoss(reason: number): string {
  if (reason === END_BY_PEER) return "the connection was lost: the broker or the network closed it";
  if (reason === END_PINGRESP_OVERDUE) return "the connection was lost: the broker did not answer PINGREQ in time";
  if (reason === END_ACK_OVERDUE) return "the connection was ended: the broker did not acknowledge in time";
  if (reason === END_RECEIVE_MAXIMUM) return "the connection was ended: too many messages at QoS 2 wait for PUBREL";
  return `the connection was ended: what the broker sent is not valid (code ${reason})`;
}
