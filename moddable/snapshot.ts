/** "mcu-mqtt/snapshot" in firmware. */
export * from "mcu-mqtt/src/optional/snapshot";
