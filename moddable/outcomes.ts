/** "mcu-mqtt/outcomes" in firmware. */
export * from "mcu-mqtt/src/optional/outcomes";
