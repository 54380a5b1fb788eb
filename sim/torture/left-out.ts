/**
 * What the simulator does not do, since the library is known to fail at it. The aim is that nothing stands here: set
 * an entry to false to see the defect.
 */
export const LEFT_OUT = {
  /**
   * `connect` after a QoS 2 message beyond `receiveMaximum`, while the acknowledgements that are due still leave: the
   * session ends without `offline`, and the next `connect` comes in its place. Seen with seed 12434.
   */
  connectWhileRefusing: true,
  /**
   * The same while, on a connection that has fallen silent: `offline` comes after five seconds, also where twice the
   * keepalive is less. Seen with seed 22627.
   */
  halfOpenWhileRefusing: true,
  /**
   * A broker that has lost the session, and whose CONNACK that said so was lost too: with session present 1 on the next
   * connection the client keeps the QoS 2 ids of the lost session, for which no PUBREL will come. As many of them as
   * `receiveMaximum` lock the device out: each connection ends with -13. Seen with seed 2151059.
   */
  lockedOutByStaleIds: true,
};
