/** `mcu-mqtt connect`: connects, and stays connected until a signal comes: to try wills, limits, and brokers. */
import type { Life } from "./life.js";
import type { Status } from "./output.js";
import type { Session } from "./session.js";

export async function connect(session: Session, life: Life, status: Status): Promise<void> {
  // What a session of earlier times may bring is not acknowledged: it is for a `sub`.
  status.say(`Client ${session.clientId} is connected`);
  await life.until(session.lost);
}
