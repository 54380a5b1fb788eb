/** "mcu-mqtt/trace5" in firmware. */
export * from "mcu-mqtt/src/v5/trace";
