/** Connects once, and says what comes of it. */
import mqtt from "mcu-mqtt";
import { print } from "#device";

declare const settings: { host: string; username: string; password: string };

const m = mqtt.Client("attempt", 120, settings.username, settings.password);
m.connect(settings.host, 1883, 0, () => print("connected"), (_client, reason) => print("failed reason: " + reason));
