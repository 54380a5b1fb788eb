/* Deep sleep by the SDKs of ESP32 and ESP8266. On an ESP8266, GPIO16 has to be connected to RST for it to wake up. */
#include "xsmc.h"
#include "xsHost.h"

#if ESP32
	#include "esp_sleep.h"
#else
	#include "user_interface.h"
#endif

void xs_deep_sleep(xsMachine *the)
{
	uint32_t ms = (uint32_t)xsmcToInteger(xsArg(0));

#if ESP32
	esp_deep_sleep((uint64_t)ms * 1000);
#else
	system_deep_sleep((uint64_t)ms * 1000);
#endif
}
