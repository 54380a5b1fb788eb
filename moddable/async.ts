/** "mcu-mqtt/async" in firmware. */
export * from "mcu-mqtt/src/async/index";
