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
};
