/**
 * Enhanced authentication of MQTT 5: what a client and a method of authentication have to do with each other.
 *
 * Knows no method; those are elsewhere, such as hal/node-scram.ts.
 */

/**
 * A method of authentication, the client's side: takes what the server says and answers it [MQTT-4.12.0-3]. One
 * exchange at a time: `init`, then `handleAuth` for each packet of the server that belongs to it. An exchange that
 * breaks off is not ended: the next one begins with `init`.
 */
export interface Authenticator {
  /** Authentication Method. */
  readonly method: string;
  /** A new exchange begins. Returns the Authentication Data of CONNECT, or of AUTH with reason code 0x19. */
  init(): Uint8Array | undefined;
  /**
   * What the server said. Throws when it is not to be trusted: the connection ends.
   *
   * @param reasonCode 0x18: AUTH, which is answered. 0: CONNACK or AUTH said success.
   * @param data the Authentication Data, valid during the call; undefined when there was none. With 0 the server's last
   *   word, to be checked.
   * @returns with 0x18 the Authentication Data of the answer, or undefined for none
   */
  handleAuth(reasonCode: number, data: Uint8Array | undefined): Uint8Array | undefined;
}
