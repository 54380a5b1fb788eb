/** "mcu-mqtt/websocket" in firmware for ESP32. */
export { default } from "mcu-mqtt/hal/esp32-websocket";
