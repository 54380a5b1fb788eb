/** "mcu-mqtt/subscriptions" in firmware. */
export * from "mcu-mqtt/src/optional/subscriptions";
