/**
 * Every numeric code of the project and what it means. What an encoder or a queue answers is never mixed with the rest;
 * why an attempt failed (NodeMCU's reasons), why a session ended, and what a decoder finds have each their own range.
 */

// What an encoder or a queue answers instead of an offset. The first two are those of `Text.encode`.

/** It does not fit into the room that is left. */
export const NO_ROOM = -1;
/** A string has a lone surrogate, which UTF-8 cannot carry [MQTT-1.5.3-1]. */
export const ILL_FORMED = -2;
/** The same, of a payload. */
export const ILL_FORMED_PAYLOAD = -3;
/** A field is longer than 65,535 bytes, or a packet longer than 268,435,455. */
export const TOO_LONG = -4;

// Why a connection attempt failed: NodeMCU's reasons. Above 0: the return code of CONNACK.

/** The broker could not be reached: refused, reset, unreachable, TLS failed, or not in time. */
export const CONN_FAIL_SERVER_NOT_FOUND = -5;
/** The first packet was not a CONNACK, or not a valid one [MQTT-3.2.0-1]. */
export const CONN_FAIL_NOT_A_CONNACK_MSG = -4;
/** The host name was not resolved. */
export const CONN_FAIL_DNS = -3;
/** CONNECT was sent, CONNACK did not come in time. */
export const CONN_FAIL_TIMEOUT_RECEIVING = -2;
/** The network stack did not take CONNECT in time. */
export const CONN_FAIL_TIMEOUT_SENDING = -1;
export const CONNACK_ACCEPTED = 0;
export const CONNACK_REFUSED_PROTOCOL_VER = 1;
export const CONNACK_REFUSED_ID_REJECTED = 2;
export const CONNACK_REFUSED_SERVER_UNAVAILABLE = 3;
export const CONNACK_REFUSED_BAD_USER_OR_PASS = 4;
export const CONNACK_REFUSED_NOT_AUTHORIZED = 5;

// Why an accepted session ended.

/** `close()` or `abort()`. */
export const END_BY_APPLICATION = 0;
/** The peer closed or reset the connection, or the network did. */
export const END_BY_PEER = -10;
/** No PINGRESP within the keep alive time after PINGREQ. */
export const END_PINGRESP_OVERDUE = -11;
/** An operation was not acknowledged within the acknowledgement timeout. */
export const END_ACK_OVERDUE = -12;
/** More QoS 2 messages without PUBREL than `receiveMaximum`. */
export const END_RECEIVE_MAXIMUM = -13;

// What a decoder finds. Each ends the connection [MQTT-4.8.0-1].

/** Packet type 0 or 15, or flags other than prescribed [MQTT-2.2.2-2]. */
export const BAD_HEADER = -20;
/** A remaining length of more than four bytes (2.2.3). */
export const BAD_REMAINING_LENGTH = -21;
/** Lengths that contradict each other, or a length this type of packet cannot have. */
export const BAD_LENGTH = -22;
/** PUBLISH with QoS 3 [MQTT-3.3.1-4], or DUP at QoS 0 [MQTT-3.3.1-2]. */
export const BAD_QOS = -23;
/** Packet id 0 [MQTT-2.3.1-1]. */
export const BAD_PACKET_ID = -24;
/**
 * A topic name that is empty, not UTF-8, or has U+0000 or a wildcard [MQTT-3.3.2-1] [MQTT-3.3.2-2]. On the broker's
 * side also a topic filter or the topic of a will.
 */
export const BAD_TOPIC = -25;
/** A packet that the peer may not send, or not now. */
export const UNEXPECTED_PACKET = -26;
/**
 * A field with a reserved value: acknowledge flags of CONNACK, return codes of SUBACK [MQTT-3.9.3-2]. On the broker's
 * side also protocol name, connect flags, a requested QoS, and a client identifier or username that is not UTF-8.
 */
export const BAD_FIELD = -27;
