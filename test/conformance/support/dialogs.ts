// Reads test/vectors/dialogs.txt, whose head describes it. A line that cannot be read, or a dialog without an end, is an
// error, so that nothing is passed over unnoticed. Knows nothing of the library.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVectors } from '../../unit/protocol/vectors';
import { parseFrame, type RawFrame } from './bytes';

export type Speaker = 'client' | 'server';

export interface Speech {
  from: Speaker;
  name: string;
  bytes: Buffer;
  frame: RawFrame;
}

export interface Dialog {
  name: string;
  /** What both sides put out before either reads stands in one block; most blocks have one frame. */
  blocks: Speech[][];
  end: { by: Speaker; how: 'fin' | 'reset' };
}

export function readDialogs(): Dialog[] {
  const golden = new Map(readVectors().frames.map((vector) => [vector.name, vector.frame]));
  const text = readFileSync(join(__dirname, '../../vectors/dialogs.txt'), 'utf8');
  const dialogs: Dialog[] = [];
  let together = false;
  let current: { name: string; blocks: Speech[][] } | null = null;
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [kind, ...fields] = line.split('|');
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    if (kind === 'dialog') {
      if (current !== null) fail('the dialog before has no end');
      current = { name: fields[0], blocks: [] };
    } else if (current === null) {
      fail('outside of a dialog');
    } else if (kind === 'together' || kind === 'apart') {
      together = kind === 'together';
      if (together) current.blocks.push([]);
    } else if (kind === 'say' || kind === 'send') {
      const bytes = kind === 'say' ? golden.get(fields[1]) : Buffer.from(fields[2].replace(/ /g, ''), 'hex');
      const speech = speechOf(speaker(fields[0]), fields[1], bytes ?? fail('no such frame'));
      if (together) current.blocks.at(-1)!.push(speech);
      else current.blocks.push([speech]);
    } else if (kind === 'ends' && (fields[1] === 'fin' || fields[1] === 'reset')) {
      dialogs.push({ ...current, end: { by: speaker(fields[0]), how: fields[1] } });
      current = null;
    } else {
      fail('cannot read this line');
    }
  }
  if (current !== null) throw new Error(`a dialog without an end: ${current.name}`);
  return dialogs;
}

function speaker(text: string): Speaker {
  if (text !== 'client' && text !== 'server') throw new Error(`neither client nor server: ${text}`);
  return text;
}

function speechOf(from: Speaker, name: string, bytes: Buffer): Speech {
  const parsed = parseFrame(bytes, 0);
  if (parsed?.next !== bytes.length) throw new Error(`not one whole frame: ${name}`);
  return { from, name, bytes, frame: parsed.frame };
}
