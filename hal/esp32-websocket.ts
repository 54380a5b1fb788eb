/**
 * The HAL of ESP32 boards with WebSocket, on the Moddable SDK.
 *
 *     import { createMqtt, MQTT_3_1_1 } from "mcu-mqtt/client";
 *     import hal from "mcu-mqtt/websocket";
 *     createMqtt(hal, MQTT_3_1_1).Client("sensor").connect("ws://broker.example.com/mqtt", 443, 1);
 */
import WebSocketClient from "embedded:network/websocket/client";
import { createEcma419WebSocketHal } from "./ecma419-websocket.js";
import esp32 from "./esp32.js";

const hal = createEcma419WebSocketHal(esp32, WebSocketClient);
// With all it holds: what a preloaded module does not freeze is given RAM.
Object.freeze(hal, true);

export default hal;
