/** Why a broker does not want a client: the return codes of CONNACK, and what to do about a refused login. */
import { Failure } from "./failure.js";

/** The return codes of CONNACK (table 3.1). */
const REFUSALS = [
  "accepted",
  "unacceptable protocol version",
  "client identifier rejected",
  "server unavailable",
  "bad user name or password",
  "not authorized",
];

/** A return code of CONNACK and its meaning: `5, not authorized`. */
export function describeReturnCode(returnCode: number): string {
  return `${returnCode}, ${REFUSALS[returnCode] ?? "which is none of 3.1.1"}`;
}

/** The broker did not take user and password. */
export function refusedLogin(where: string, returnCode: number): Failure {
  return new Failure(
    `the broker at ${where} refused the login (CONNACK ${describeReturnCode(returnCode)}): ` +
      "check user and password in --broker mqtt://user:password@host:port",
  );
}
