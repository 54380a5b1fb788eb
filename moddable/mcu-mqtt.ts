/** "mcu-mqtt" in firmware. Relative imports resolve against the names of modules there, hence a file of its own. */
import mqtt, { MQTT_3_1_1 } from "mcu-mqtt/src/index";

/** `Object.freeze` of XS freezes what the object holds too, by its second argument. What is not frozen is given RAM. */
type DeepFreeze = (object: object, isDeep: true) => void;
(Object.freeze as DeepFreeze)(mqtt, true);
(Object.freeze as DeepFreeze)(MQTT_3_1_1, true);

export default mqtt;
export * from "mcu-mqtt/src/index";
