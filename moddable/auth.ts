/** "mcu-mqtt/auth" in firmware. */
export * from "mcu-mqtt/src/v5/auth";
