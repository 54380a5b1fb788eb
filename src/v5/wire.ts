/** What MQTT 5 adds on the wire: a packet type, properties and reason codes. Numbers only. */

/** The packet type that 3.1.1 does not have (table 2-1). */
export const AUTH = 15;

// Properties (table 2-4).
export const PAYLOAD_FORMAT_INDICATOR = 1;
export const MESSAGE_EXPIRY_INTERVAL = 2;
export const CONTENT_TYPE = 3;
export const RESPONSE_TOPIC = 8;
export const CORRELATION_DATA = 9;
export const SUBSCRIPTION_IDENTIFIER = 11;
export const SESSION_EXPIRY_INTERVAL = 17;
export const ASSIGNED_CLIENT_IDENTIFIER = 18;
export const SERVER_KEEP_ALIVE = 19;
export const AUTHENTICATION_METHOD = 21;
export const AUTHENTICATION_DATA = 22;
export const REQUEST_PROBLEM_INFORMATION = 23;
export const WILL_DELAY_INTERVAL = 24;
export const REQUEST_RESPONSE_INFORMATION = 25;
export const RESPONSE_INFORMATION = 26;
export const SERVER_REFERENCE = 28;
export const REASON_STRING = 31;
export const RECEIVE_MAXIMUM = 33;
export const TOPIC_ALIAS_MAXIMUM = 34;
export const TOPIC_ALIAS = 35;
export const MAXIMUM_QOS = 36;
export const RETAIN_AVAILABLE = 37;
export const USER_PROPERTY = 38;
export const MAXIMUM_PACKET_SIZE = 39;
export const WILDCARD_SUBSCRIPTION_AVAILABLE = 40;
export const SUBSCRIPTION_IDENTIFIER_AVAILABLE = 41;
export const SHARED_SUBSCRIPTION_AVAILABLE = 42;

// Reason codes (table 2-6). From 0x80 on: failed.
export const SUCCESS = 0x00;
export const DISCONNECT_WITH_WILL = 0x04;
export const NO_MATCHING_SUBSCRIBERS = 0x10;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const CONTINUE_AUTHENTICATION = 0x18;
export const RE_AUTHENTICATE = 0x19;
export const UNSPECIFIED_ERROR = 0x80;
export const MALFORMED_PACKET = 0x81;
export const PROTOCOL_ERROR = 0x82;
export const IMPLEMENTATION_SPECIFIC_ERROR = 0x83;
export const UNSUPPORTED_PROTOCOL_VERSION = 0x84;
export const CLIENT_IDENTIFIER_NOT_VALID = 0x85;
export const BAD_USER_NAME_OR_PASSWORD = 0x86;
export const NOT_AUTHORIZED = 0x87;
export const SERVER_UNAVAILABLE = 0x88;
export const SERVER_BUSY = 0x89;
export const BANNED = 0x8a;
export const SERVER_SHUTTING_DOWN = 0x8b;
export const BAD_AUTHENTICATION_METHOD = 0x8c;
export const KEEP_ALIVE_TIMEOUT = 0x8d;
export const SESSION_TAKEN_OVER = 0x8e;
export const TOPIC_FILTER_INVALID = 0x8f;
export const TOPIC_NAME_INVALID = 0x90;
export const PACKET_IDENTIFIER_IN_USE = 0x91;
export const PACKET_IDENTIFIER_NOT_FOUND = 0x92;
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
export const TOPIC_ALIAS_INVALID = 0x94;
export const PACKET_TOO_LARGE = 0x95;
export const MESSAGE_RATE_TOO_HIGH = 0x96;
export const QUOTA_EXCEEDED = 0x97;
export const ADMINISTRATIVE_ACTION = 0x98;
export const PAYLOAD_FORMAT_INVALID = 0x99;
export const RETAIN_NOT_SUPPORTED = 0x9a;
export const QOS_NOT_SUPPORTED = 0x9b;
export const USE_ANOTHER_SERVER = 0x9c;
export const SERVER_MOVED = 0x9d;
export const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9e;
export const CONNECTION_RATE_EXCEEDED = 0x9f;
export const MAXIMUM_CONNECT_TIME = 0xa0;
export const SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xa1;
export const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xa2;
