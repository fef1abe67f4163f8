// constants.ts: the numbers of the wire format, each written once.
// Layer: protocol. Knows nothing but itself.
// Invariant: a change here is a change of the protocol; see docs/PROTOCOL.md section 1.

/** Bytes of the fixed header in front of every frame. */
export const HEADER_BYTES = 16;
/** Most bytes of text headers in one message: what a 16 bit length can say. */
export const MAX_TEXT_HEADERS_BYTES = 65_535;
/** Most bytes of a body in one message: what a 16 bit length can say. */
export const MAX_BODY_BYTES = 65_535;
/** The greatest frame there is. */
export const MAX_FRAME_BYTES = HEADER_BYTES + MAX_TEXT_HEADERS_BYTES + MAX_BODY_BYTES;

/** Least channel number; 0 means "none yet". */
export const FIRST_CHANNEL = 1;
/** Greatest channel number; 65535 is reserved. */
export const LAST_CHANNEL = 65_534;

// Where the fields of the header lie.
export const AT_CHANNEL = 0;
export const AT_FLAGS = 2;
export const AT_STATUS = 3;
export const AT_ID_HIGH = 4;
export const AT_ID_LOW = 8;
export const AT_HEADERS_LENGTH = 12;
export const AT_BODY_LENGTH = 14;

// What the flags byte holds.
export const OP_CODE_MASK = 0x0f;
export const ORIGIN_BIT = 0x10;
export const MORE_BIT = 0x20;
/** What is believed of a flags byte from the wire: the rest could let a peer pose as the local engine. */
export const WIRE_MASK = OP_CODE_MASK | MORE_BIT;

/** Name of the text header with the address a HelloRequest connects to. */
export const CONNECT_TO = '~connect_to';
/** Name of the text header with the address a WelcomeRequest listens on. */
export const LISTEN_ON = '~listen_on';
