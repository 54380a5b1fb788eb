/**
 * SASLprep (RFC 4013): a user name or a password in the form in which both sides compare it or make keys of it,
 * however it was typed.
 *
 * Knows text only, and needs nothing of its platform but `normalize`. What is not in Unicode 3.2 passes, as in a query
 * of RFC 3454 (section 7), and as the engine's own Unicode normalizes it.
 */

/** "5d0-5ea 5f0": these code points, as a class for a regular expression. */
function classOf(ranges: string): string {
  return ranges.replace(/[\da-f]+/g, "\\u{$&}").replaceAll(" ", "");
}

// Of U+200B, which is among both, most have a space (it was one in Unicode 3.2).
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
// Variation selectors and joiners are wanted here without what they belong to.
const MAPPED_TO_NOTHING = new RegExp(`[${classOf("ad 34f 1806 180b-180d 200c-200d 2060 fe00-fe0f feff")}]`, "gu");

/** Tables C.2.1 to C.9 of RFC 3454, without what is gone by then: mapped to nothing, or normalized. */
const PROHIBITED = new RegExp(
  "[\\p{Control}\\p{Private_Use}\\p{Surrogate}\\p{Noncharacter_Code_Point}" +
  classOf("6dd 70f 180e 200e-200f 2028-202e 2061-2063 206a-206f 2ff0-2ffb fff9-fffd 1d173-1d17a e0001 e0020-e007f") +
  "]",
  "u",
);

// Tables D.1 and D.2 of RFC 3454. A range spans what cannot be there: prohibited, normalized, or not in Unicode 3.2.
const RAND_AL_CAT = classOf("5be 5c0 5c3 5d0-5f4 61b-64a 66d-66f 671-6d5 6e5-6e6 6fa-710 712-72c 780-7a5 7b1 fe73");
const L_CAT = classOf(
  "41-5a 61-7a c0-d6 d8-f6 f8-2ad 2bb-2c1 2d0-2d1 2ee 386-3f3 400-482 48a-589 903-939 93d-940 949-94c 950 " +
  "960-961 964-970 982-9b9 9be-9c0 9c7-9cc 9d7-9e1 9e6-9f1 9f4-9fa a05-a39 a3e-a40 a5c-a6f a72-a74 a83-ab9 " +
  "abd-ac0 ac9-acc ad0-aef b02-b39 b3d-b3e b40 b47-b4c b57-b70 b83-bbf bc1-bcc bd7-c39 c41-c44 c60-cbe cc0-cc4 " +
  "cc7-ccb cd5-d40 d46-d4c d57-dc6 dcf-dd1 dd8-e30 e32 e40-e46 e4f-eb0 eb2 ebd-ec6 ed0-f17 f1a-f34 f36 f38 " +
  "f3e-f6a f7f f85 f88-f8b fbe-fc5 fc7-102c 1031 1038 1040-1057 10a0-169a 16a0-1711 1720-1731 1735-1751 " +
  "1760-1770 1780-17b6 17be-17c5 17c7-17c8 17d4-17da 17dc-17e9 1810-18a8 1e00-1ffc 2180-2183 2336-237a 2395 " +
  "3005-3007 3021-3029 3031-3035 303b-303c 3041-3096 309d-309e 30a1-30fa 30fc-a48c ac00-fa29 10300-1d166 " +
  "1d16a-1d172 1d183-1d184 1d18c-1d1a9 1d1ae-2a6d6",
);
const FROM_RIGHT_TO_LEFT = new RegExp(`[${RAND_AL_CAT}]`, "u");
/** From right to left throughout: begins and ends so, and nothing in it is from left to right. */
const ALL_FROM_RIGHT_TO_LEFT = new RegExp(`^(?=[${RAND_AL_CAT}])[^${L_CAT}]*(?<=[${RAND_AL_CAT}])$`, "u");

/**
 * `text` as SASLprep has it.
 *
 * @param name what errors call it
 * @throws TypeError that names it, and does not repeat it, when nothing is left of it or it has what is prohibited
 */
export function saslprep(name: string, text: string): string {
  const prepared = text.replace(SPACES, " ").replace(MAPPED_TO_NOTHING, "").normalize("NFKC");
  if (prepared === "") throw new TypeError(`${name} must have a character that SASLprep does not take away`);
  if (PROHIBITED.test(prepared)) throw new TypeError(`${name} must not have a character that SASLprep prohibits`);
  if (FROM_RIGHT_TO_LEFT.test(prepared) && !ALL_FROM_RIGHT_TO_LEFT.test(prepared)) {
    throw new TypeError(`${name} must begin and end from right to left, with nothing from left to right, or have none`);
  }
  return prepared;
}
