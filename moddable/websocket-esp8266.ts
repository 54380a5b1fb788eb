/** "mcu-mqtt/websocket" in firmware for ESP8266. */
export { default } from "mcu-mqtt/hal/esp8266-websocket";
