/** Deep sleep of an ESP32 or an ESP8266, which the Moddable SDK (8.2.3) does not have: in deep-sleep.c. */
export default function deepSleep(ms) @ "xs_deep_sleep";
