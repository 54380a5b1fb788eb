/** The HAL of ESP8266 boards with WebSocket, without TLS as theirs is; on the Moddable SDK. */
import WebSocketClient from "embedded:network/websocket/client";
import { createEcma419WebSocketHal } from "./ecma419-websocket.js";
import esp8266 from "./esp8266.js";

const hal = createEcma419WebSocketHal(esp8266, WebSocketClient);
Object.freeze(hal, true);

export default hal;
