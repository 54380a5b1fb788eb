/** "mcu-mqtt/v5" in firmware. Relative imports resolve against the names of modules there, hence a file of its own. */
import mqtt, { MQTT_5 } from "mcu-mqtt/src/v5/index";

// With all they hold: what a preloaded module does not freeze is given RAM.
Object.freeze(mqtt, true);
Object.freeze(MQTT_5, true);

export default mqtt;
export * from "mcu-mqtt/src/v5/index";
