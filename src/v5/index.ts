/** NodeMCU's `mqtt` module with MQTT 5, on the platform that the build chose as `mcu-mqtt/hal`. */
import hal from "mcu-mqtt/hal";
import { createMqtt5 } from "./face.js";

const mqtt = createMqtt5(hal);

export default mqtt;
export * from "./face.js";
