/** "mcu-mqtt/store" in firmware for ESP32. */
export * from "mcu-mqtt/hal/esp32-store";
