/** "mcu-mqtt/protocols" in firmware. */
export * from "mcu-mqtt/src/optional/protocols";
