/** "mcu-mqtt/names" in firmware. */
export * from "mcu-mqtt/src/v5/names";
