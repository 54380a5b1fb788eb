/**
 * MQTT 5 as a `Codec`: the one place that binds its parts together. While a session is constructed with it, that
 * session, its connection and its client become those of MQTT 5, so that whatever takes a codec can speak it.
 */
import { asInteger, isNil, show } from "../arguments.js";
import type { Text } from "../../hal/socket.js";
import { hasOwn } from "../client.js";
import type { Codec, DecoderHandler } from "../codec.js";
import { Connection } from "../connection.js";
import { become } from "./become.js";
import { Connection5 } from "./connection.js";
import { Encoder5 } from "./encoder.js";
import type { Settings5 } from "./properties.js";
import { Session5 } from "./session.js";

/** Aliases each way, unless there is another number. */
const ALIASES = 8;
/** The most that each setting may be. */
const SETTINGS: Readonly<Settings5> = { topicAliasMaximum: 65535, topicAliases: 255 };
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(SETTINGS, true);

/**
 * MQTT 5 with other sizes.
 *
 * @throws TypeError or RangeError that names the setting
 */
export function mqtt5(settings?: Partial<Settings5> | null): Codec {
  const given = isNil(settings) ? {} : settings;
  for (const name in given) if (!hasOwn(SETTINGS, name)) throw new TypeError("unknown setting " + show(name));
  const sizes = {} as Settings5;
  for (const name in SETTINGS) {
    const setting = name as keyof Settings5;
    sizes[setting] = asInteger(name, given[setting], ALIASES, 0, SETTINGS[setting]);
  }
  // On XS: what a preloaded module does not freeze, or can see change, is given RAM there.
  Object.freeze(sizes);
  return Object.freeze({
    encoder: (text: Text) => new Encoder5(text),
    decoder(handler: DecoderHandler, scratch: Uint8Array) {
      const session = become(handler, Session5);
      const decoder = session.begin(scratch, sizes);
      const connection: unknown = session._handler;
      if (connection instanceof Connection) become(connection, Connection5).begin(session);
      return decoder;
    },
  });
}

/** MQTT 5 (protocol version 5). */
export const MQTT_5: Codec = {
  encoder: (text) => new Encoder5(text),
  decoder: (handler, scratch) => mqtt5().decoder(handler, scratch),
};
