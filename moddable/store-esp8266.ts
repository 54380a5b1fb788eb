/** "mcu-mqtt/store" in firmware for ESP8266. */
export * from "mcu-mqtt/hal/esp8266-store";
