/** "mcu-mqtt/queue" in firmware. */
export * from "mcu-mqtt/src/optional/queue";
