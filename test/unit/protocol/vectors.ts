// vectors.ts: reads test/vectors/vectors.txt for the tests beside it.
// A line of an unknown kind or with a missing field is an error, so that no vector is skipped unnoticed.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A frame that is read, and what is read. */
export interface FrameVector {
  kind: 'good' | 'clean';
  name: string;
  frame: Buffer;
  channelNumber: number;
  opCode: number;
  more: boolean;
  messageId: bigint;
  headers: Buffer;
  body: Buffer;
}

/** A frame that is refused. */
export interface BadVector {
  name: string;
  frame: Buffer;
}

/** Bytes of text headers and the pairs they are read as. */
export interface HeadersVector {
  raw: Buffer;
  pairs: [name: string, value: string][];
}

/** A header to be written; bytes is null when it is refused. */
export interface AppendVector {
  name: string;
  value: string;
  bytes: Buffer | null;
  refusal: string | null;
}

export interface Vectors {
  frames: FrameVector[];
  bad: BadVector[];
  headers: HeadersVector[];
  append: AppendVector[];
}

export function readVectors(): Vectors {
  const text = readFileSync(join(__dirname, '../../vectors/vectors.txt'), 'utf8');
  const vectors: Vectors = { frames: [], bad: [], headers: [], append: [] };
  for (const line of text.split('\n')) {
    if (line !== '' && !line.startsWith('#')) readLine(vectors, line);
  }
  return vectors;
}

function readLine(vectors: Vectors, line: string): void {
  const [kind, ...fields] = line.split(/(?<!\\)\|/);
  if ((kind === 'good' || kind === 'clean') && fields.length === 8) {
    vectors.frames.push(frameVector(kind, fields));
  } else if (kind === 'bad' && fields.length === 2) {
    vectors.bad.push({ name: fields[0], frame: bytesOfHex(fields[1]) });
  } else if (kind === 'headers' && fields.length >= 2) {
    vectors.headers.push({ raw: unescape(fields[0]), pairs: pairsOf(fields.slice(1)) });
  } else if (kind === 'append' && fields.length === 3) {
    const refused = fields[2].startsWith('Bad');
    vectors.append.push({
      name: unescape(fields[0]).toString(),
      value: unescape(fields[1]).toString(),
      bytes: refused ? null : unescape(fields[2]),
      refusal: refused ? fields[2] : null,
    });
  } else {
    throw new Error(`cannot read this vector: ${line}`);
  }
}

function frameVector(kind: 'good' | 'clean', fields: string[]): FrameVector {
  const [name, frame, channel, opCode, more, id, headers, body] = fields;
  return {
    kind,
    name,
    frame: bytesOfHex(frame),
    channelNumber: Number(channel),
    opCode: Number(opCode),
    more: more === '1',
    messageId: BigInt(id),
    headers: unescape(headers),
    body: bytesOfHex(body),
  };
}

function pairsOf(fields: string[]): [string, string][] {
  if (fields.length === 1 && fields[0] === '') return [];
  return fields.map((field) => {
    const cut = field.indexOf('=');
    if (cut < 0) throw new Error(`no "=" in the pair: ${field}`);
    return [unescape(field.slice(0, cut)).toString(), unescape(field.slice(cut + 1)).toString()];
  });
}

function bytesOfHex(text: string): Buffer {
  const digits = text.replace(/ /g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${text}`);
  return Buffer.from(digits, 'hex');
}

const escapes: Record<string, number> = { '|': 0x7c, '\\': 0x5c, r: 0x0d, n: 0x0a, t: 0x09 };

function unescape(text: string): Buffer {
  const parts = text.split(/(\\x[0-9a-fA-F]{2}|\\.)/);
  return Buffer.concat(
    parts.map((part) => {
      if (!part.startsWith('\\')) return Buffer.from(part);
      if (part.length === 4) return Buffer.from(part.slice(2), 'hex');
      if (!(part[1] in escapes)) throw new Error(`unknown escape ${part}`);
      return Buffer.from([escapes[part[1]]]);
    }),
  );
}
