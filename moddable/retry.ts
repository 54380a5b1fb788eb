/** "mcu-mqtt/retry" in firmware. */
export * from "mcu-mqtt/src/optional/retry";
