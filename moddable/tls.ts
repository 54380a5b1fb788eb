/** "mcu-mqtt/tls" in firmware. */
export * from "mcu-mqtt/hal/ecma419-tls-options";
