/** The bare import: NodeMCU's `mqtt` module with MQTT 3.1.1, on the platform that the build chose as `mcu-mqtt/hal`. */
import hal from "mcu-mqtt/hal";
import { createMqtt } from "./client.js";
import { MQTT_3_1_1 } from "./v311.js";

const mqtt = createMqtt(hal, MQTT_3_1_1);

export default mqtt;
export * from "./face.js";
