/**
 * Keeps a board on its Wi-Fi. In firmware it is "setup/wifi": `main` runs when there is an address and, since
 * certificates are checked against the clock, the time. The SDK's "setup/network" connects once and looks away then.
 *
 *     mcconfig -d -m -p esp32 wifi="name" passphrase="secret"
 */
import config from "mc/config";
import SNTP from "sntp";
import Time from "time";
import Timer from "timer";
import WiFi from "embedded:network/interface/wifi";

/** Between losing the network, or not finding it, and the next try. */
const RETRY_MS = 5000;
/** What `connection` is with an address, and without a network. */
const HAS_ADDRESS = 500;
const DISCONNECTED = 200;

interface Settings {
  wifi: string;
  passphrase?: string;
  /** A time server; the SDK names one. */
  sntp?: string;
}

export default function (done: () => void): void {
  const settings = config as unknown as Settings;
  let isStarted = false;
  const wifi = new WiFi({
    onChanged: () => {
      if (wifi.connection >= HAS_ADDRESS && !isStarted) {
        isStarted = true;
        trace("Wi-Fi: " + wifi.address + "\n");
        setClock(settings.sntp, done);
      } else if (wifi.connection <= DISCONNECTED) {
        trace("Wi-Fi: disconnected\n");
        Timer.set(connect, RETRY_MS);
      }
    },
  });
  const connect = (): void => {
    // Where the SDK is at it already, it throws.
    if (wifi.connection > DISCONNECTED) return;
    if (settings.passphrase) wifi.connect({ SSID: settings.wifi, password: settings.passphrase });
    else wifi.connect({ SSID: settings.wifi });
  };
  // A network of earlier firmware, which an ESP8266 remembers and looks for by itself.
  if (wifi.connection > DISCONNECTED) wifi.disconnect();
  connect();
}

function setClock(host: string | undefined, done: () => void): void {
  if (!host) {
    done();
    return;
  }
  new SNTP({ host }, (message, seconds) => {
    if (message === SNTP.retry) return;
    if (message === SNTP.time) Time.set(seconds as number);
    else trace("no time from " + host + "\n");
    done();
  });
}
