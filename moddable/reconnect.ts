/** "mcu-mqtt/reconnect" in firmware. */
export * from "mcu-mqtt/src/optional/reconnect";
