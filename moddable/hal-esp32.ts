/** "mcu-mqtt/hal" in firmware for ESP32. */
export { default } from "mcu-mqtt/hal/esp32";
