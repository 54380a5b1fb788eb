/** For the size report: the codec and the session that a board's file has in it, without the face. */
export { Session } from "../src/session.ts";
export { MQTT_3_1_1 } from "../src/v311.ts";
