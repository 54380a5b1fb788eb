/**
 * What the simulator does not do, since the library is known to fail at it. The aim is that nothing stands here: set
 * an entry to false to see the defect.
 */
export const LEFT_OUT = {
  /**
   * `connect` after a QoS 2 message beyond `receiveMaximum`, while the acknowledgements that are due still leave: the
   * session ends without `offline`, and the next `connect` comes in its place. Seen with seed 1638.
   */
  connectWhileRefusing: true,
  /**
   * The same while, on a connection that has fallen silent: `offline` comes after five seconds, also where twice the
   * keepalive is less. Seen with seed 26003.
   */
  halfOpenWhileRefusing: true,
};
