/**
 * Which strings are Topic Names and which are Topic Filters (4.7). Knows nothing of bytes: whether a string can be
 * UTF-8 at all is `Text`'s to say. Only native searches, since a loop over characters is dear on every engine.
 */

/** True for a Topic Name: not empty, no wildcard, no U+0000 [MQTT-4.7.3-1] [MQTT-3.3.2-2] [MQTT-4.7.3-2]. */
export function isTopicName(topic: string): boolean {
  return topic !== "" && topic.indexOf("+") < 0 && topic.indexOf("#") < 0 && topic.indexOf("\0") < 0;
}

/**
 * True for a Topic Filter: not empty, no U+0000, `#` only as the whole last level [MQTT-4.7.1-2], `+` only as a whole
 * level [MQTT-4.7.1-3].
 */
export function isTopicFilter(filter: string): boolean {
  const last = filter.length - 1;
  if (last < 0 || filter.indexOf("\0") >= 0) return false;
  const hash = filter.indexOf("#");
  if (hash >= 0 && (hash !== last || (hash > 0 && filter.charAt(hash - 1) !== "/"))) return false;
  for (let plus = filter.indexOf("+"); plus >= 0; plus = filter.indexOf("+", plus + 1)) {
    if (plus > 0 && filter.charAt(plus - 1) !== "/") return false;
    if (plus < last && filter.charAt(plus + 1) !== "/") return false;
  }
  return true;
}
