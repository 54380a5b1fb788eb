/** "mcu-mqtt/trace" in firmware. */
export * from "mcu-mqtt/src/optional/trace";
