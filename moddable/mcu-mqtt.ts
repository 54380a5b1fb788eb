/** "mcu-mqtt" in firmware. Relative imports resolve against the names of modules there, hence a file of its own. */
import mqtt, { MQTT_3_1_1 } from "mcu-mqtt/src/index";

// With all they hold: what a preloaded module does not freeze is given RAM.
Object.freeze(mqtt, true);
Object.freeze(MQTT_3_1_1, true);

export default mqtt;
export * from "mcu-mqtt/src/index";
