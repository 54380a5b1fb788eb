/**
 * MQTT 5 as a `Codec`: the one place that binds its parts together. While a session is constructed with it, that
 * session, its connection and its client become those of MQTT 5, so that whatever takes a codec can speak it.
 */
import { asInteger, isNil, show } from "../arguments.js";
import type { Codec } from "../codec.js";
import { Connection } from "../connection.js";
import type { Session } from "../session.js";
import { Connection5 } from "./connection.js";
import { Encoder5 } from "./encoder.js";
import type { Settings5 } from "./properties.js";
import { Session5 } from "./session.js";

/** Aliases each way, unless there is another number. */
const ALIASES = 8;

/**
 * MQTT 5 with other sizes.
 *
 * @throws TypeError or RangeError that names the setting
 */
export function mqtt5(settings?: Partial<Settings5> | null): Codec {
  const given = isNil(settings) ? {} : settings;
  for (const name in given) {
    if (name !== "topicAliasMaximum" && name !== "topicAliases") throw new TypeError("unknown setting " + show(name));
  }
  const complete: Settings5 = {
    topicAliasMaximum: asInteger("topicAliasMaximum", given.topicAliasMaximum, ALIASES, 0, 65535),
    topicAliases: asInteger("topicAliases", given.topicAliases, ALIASES, 0, 255),
  };
  return codecOf(complete);
}

function codecOf(settings: Settings5): Codec {
  // On XS: what a preloaded module does not freeze, or can see change, is given RAM there.
  const sizes = Object.freeze(settings);
  const codec: Codec = {
    encoder: (text) => new Encoder5(text),
    decoder(handler, scratch) {
      const session = handler as Session as Session5;
      Object.setPrototypeOf(session, Session5.prototype);
      const decoder = session.begin(scratch, sizes);
      const connection: unknown = session._handler;
      if (connection instanceof Connection) {
        Object.setPrototypeOf(connection, Connection5.prototype);
        (connection as Connection5).begin(session);
      }
      return decoder;
    },
  };
  return Object.freeze(codec);
}

/** MQTT 5 (protocol version 5). */
export const MQTT_5: Codec = {
  encoder: (text) => new Encoder5(text),
  decoder: (handler, scratch) => mqtt5().decoder(handler, scratch),
};
