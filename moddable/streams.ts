/** "mcu-mqtt/streams" in firmware. */
export * from "mcu-mqtt/src/optional/streams";
