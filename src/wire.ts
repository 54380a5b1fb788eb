/** MQTT 3.1.1 on the wire: packet types, flag bits and limits. Numbers only. */

/** Packet types, the high four bits of the first byte (table 2.1). */
export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;

/** Flags of PUBLISH, the low four bits of its first byte (3.3.1). QoS is `flags >> 1 & 3`. */
export const RETAIN = 1;
export const QOS_1 = 2;
export const QOS_2 = 4;
export const DUP = 8;

/** Flags that PUBREL, SUBSCRIBE and UNSUBSCRIBE carry always [MQTT-2.2.2-1]. */
export const RESERVED_FLAGS = 2;

/** Highest packet id; 0 is none (2.3.1). */
export const MAX_PACKET_ID = 65535;

/** Longest UTF-8 string or binary field, in bytes (1.5.3). */
export const MAX_FIELD_LENGTH = 65535;

/** Highest remaining length, four bytes of seven bits (2.2.3). */
export const MAX_REMAINING_LENGTH = 268435455;

/** Return code of SUBACK for a refused Topic Filter (3.9.3). */
export const SUBSCRIPTION_FAILURE = 0x80;
