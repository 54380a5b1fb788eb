/** "mcu-mqtt/url" in firmware. */
export * from "mcu-mqtt/src/optional/url";
