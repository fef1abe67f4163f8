// The suite's own encoder and decoder of frames, written from the frame table of docs/PROTOCOL.md section 1.
// It must not use the library: the suite would only prove that the library agrees with itself.

export interface RawFrame {
  channel: number;
  /** The whole byte: opcode, origin, more and the two internal bits. */
  proto: number;
  status: number;
  id: bigint;
  headers: string;
  body: Buffer;
}

export interface FrameInit {
  channel?: number;
  op?: number;
  more?: boolean;
  /** Ored to the proto byte: origin (0x10) and internal bits (0xc0). */
  bits?: number;
  status?: number;
  id?: bigint | number;
  headers?: string | Uint8Array;
  body?: string | Uint8Array;
}

export const WIRE = {
  Request: 0,
  Response: 1,
  Signal: 2,
  HelloRequest: 3,
  HelloResponse: 4,
  ByeRequest: 5,
  ByeResponse: 6,
  ByeSignal: 7,
  WelcomeRequest: 8,
  WelcomeResponse: 9,
} as const;

const HEADER = 16;

/** One frame as bytes; nothing is checked, so hostile frames can be made too. */
export function frame(init: FrameInit = {}): Buffer {
  const headers = Buffer.from(init.headers ?? '');
  const body = Buffer.from(init.body ?? '');
  const head = Buffer.alloc(HEADER);
  head.writeUInt16BE(init.channel ?? 7, 0);
  head.writeUInt8((init.op ?? WIRE.Request) | (init.more === true ? 0x20 : 0) | (init.bits ?? 0), 2);
  head.writeUInt8(init.status ?? 0, 3);
  head.writeBigUInt64BE(BigInt(init.id ?? 1), 4);
  head.writeUInt16BE(headers.length, 12);
  head.writeUInt16BE(body.length, 14);
  return Buffer.concat([head, headers, body]);
}

/** The first frame in `bytes` from `at`, or null while it is incomplete. */
export function parseFrame(bytes: Buffer, at: number): { frame: RawFrame; next: number } | null {
  if (bytes.length - at < HEADER) return null;
  const headersEnd = at + HEADER + bytes.readUInt16BE(at + 12);
  const next = headersEnd + bytes.readUInt16BE(at + 14);
  if (bytes.length < next) return null;
  return {
    next,
    frame: {
      channel: bytes.readUInt16BE(at),
      proto: bytes.readUInt8(at + 2),
      status: bytes.readUInt8(at + 3),
      id: bytes.readBigUInt64BE(at + 4),
      headers: bytes.toString('latin1', at + HEADER, headersEnd),
      body: Buffer.from(bytes.subarray(headersEnd, next)),
    },
  };
}
