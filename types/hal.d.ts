/** What `mcu-mqtt/hal` is to src: the HAL of some platform. Which one, the build map decides. */
import type { Hal } from "../hal/socket.js";

declare const hal: Hal;
export default hal;
