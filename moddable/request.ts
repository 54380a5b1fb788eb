/** "mcu-mqtt/request" in firmware. */
export * from "mcu-mqtt/src/v5/request";
