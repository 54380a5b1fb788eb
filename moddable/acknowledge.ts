/** "mcu-mqtt/acknowledge" in firmware. */
export * from "mcu-mqtt/src/optional/acknowledge";
