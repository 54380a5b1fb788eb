/** A broker's URL on the command line: what the library's parser finds in it, and where errors name the option. */
import { parseUrl } from "../../src/optional/url.js";
import type { BrokerUrl } from "../../src/optional/url.js";
import { Failure, messageOf } from "./failure.js";

export type { BrokerUrl } from "../../src/optional/url.js";

/** What is wrong with it is said without repeating it, since it may have a password. */
export function readUrl(text: string): BrokerUrl {
  try {
    const url = parseUrl(text);
    if (!url.webSocket && url.query !== "") throw new TypeError('a topic must have no "?"; "%3F" is a "?"');
    return url;
  } catch (error) {
    throw new Failure(`--url: ${messageOf(error).replace(/^url: /, "")}`);
  }
}
