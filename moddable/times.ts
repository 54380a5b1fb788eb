/** "mcu-mqtt/times" in firmware. */
export * from "mcu-mqtt/src/optional/times";
