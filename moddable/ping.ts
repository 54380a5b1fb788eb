/** "mcu-mqtt/ping" in firmware. */
export * from "mcu-mqtt/src/optional/ping";
