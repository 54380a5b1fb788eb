/**
 * What a program under simulation gets as "mcu-mqtt/v5": an error, since the simulated device speaks 3.1.1, and a
 * client of MQTT 5 would go past its network to wherever the program says.
 */
export * from "../src/v5/index.js";
export { default } from "../src/v5/index.js";

throw new Error('the simulated device speaks MQTT 3.1.1: "mcu-mqtt/v5" cannot be simulated');
