/** "mcu-mqtt/client" in firmware. */
export * from "mcu-mqtt/src/face";
