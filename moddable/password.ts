/** "mcu-mqtt/password" in firmware. */
export * from "mcu-mqtt/src/optional/password";
