// make_corpus.mjs: writes the inputs the fuzz targets begin with, one folder per target, from test/vectors/vectors.txt.
// Usage: node test/native/fuzz/make_corpus.mjs FOLDER. The layout of an input is told by the head of its target.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const vectorFile = new URL('../../vectors/vectors.txt', import.meta.url);

/** Addresses, good and bad, beside the ones in the frames. */
const addresses = [
  'tcp||0',
  'tcp|::1|65535',
  'tcp|localhost|65536',
  'tcp|[::1]|1',
  'tcp|a|01',
  'tcp|a|b|1',
  `tcp|${'h'.repeat(1024)}|1`,
  'uds|/run/a.sock',
  'uds|@name',
  'uds|@',
  'uds| /a',
  `uds|${'p'.repeat(107)}`,
  `uds|${'p'.repeat(108)}`,
];

/** Events in the order of ChannelEvent in native/protocol/channel_state.h. */
const events = [
  'connected',
  'hello',
  'data',
  'byeRequest',
  'byeResponse',
  'postBye',
  'postAnswer',
  'byeOut',
  'eof',
  'gone',
];
/** How channels live and end: dialled ones begin with `connected`, accepted ones with `hello`. */
const lives = [
  'connected data postBye data byeOut data byeResponse data eof',
  'connected postBye byeRequest byeOut data eof',
  'connected postBye byeOut byeRequest gone',
  'connected postAnswer byeResponse byeOut eof',
  'connected postAnswer byeOut byeRequest data eof',
  'connected postAnswer byeRequest byeOut eof',
  'connected postAnswer byeOut byeResponse eof',
  'connected byeResponse data eof',
  'postBye postAnswer connected byeRequest postBye byeOut eof',
  'hello data byeRequest data postAnswer byeOut data eof',
  'hello byeRequest postBye byeOut gone',
  'hello data hello',
  'data',
  'gone',
];

function main(folder) {
  const { frames, headers, append } = readVectors(readFileSync(vectorFile, 'utf8'));
  const write = (target, input) => {
    mkdirSync(join(folder, target), { recursive: true });
    const name = createHash('sha1').update(input).digest('hex');
    writeFileSync(join(folder, target, name), input);
  };
  // Channel number 0x0a0b, cut into pieces of up to so many bytes.
  const stream = (most, ...parts) => write('framer', Buffer.concat([Buffer.from([0x0a, 0x0b, most - 1]), ...parts]));
  for (const { bytes } of frames) {
    stream(64, bytes);
    stream(5, bytes.subarray(0, bytes.length - 1));
  }
  const readable = frames.filter(({ kind }) => kind !== 'bad').map(({ bytes }) => bytes);
  for (const most of [1, 7, 64]) stream(most, ...readable);
  for (const { kind, bytes } of frames) if (kind === 'bad') stream(16, ...readable.slice(0, 3), bytes, readable[0]);

  for (const raw of headers) write('text_headers', Buffer.concat([Buffer.from([1]), raw]));
  for (const [name, value] of append) write('text_headers', Buffer.concat([Buffer.from([name.length]), name, value]));

  for (const { bytes } of frames) {
    const match = /~(?:connect_to|listen_on):(.*?)\r\n/.exec(bytes.toString('latin1'));
    if (match !== null) write('address', Buffer.from(match[1], 'latin1'));
  }
  for (const text of addresses) write('address', Buffer.from(text));

  for (const life of lives) {
    const steps = life.split(' ');
    const accepted = steps[0] === 'hello' || steps[0] === 'data' ? 1 : 0;
    write('channel_state', Buffer.from([accepted, ...steps.map((step) => events.indexOf(step))]));
  }
}

function readVectors(text) {
  const vectors = { frames: [], headers: [], append: [] };
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [kind, ...fields] = line.split(/(?<!\\)\|/);
    if (kind === 'headers') vectors.headers.push(unescape(fields[0]));
    else if (kind === 'append') vectors.append.push(fields.slice(0, 2).map(unescape));
    else vectors.frames.push({ kind, bytes: Buffer.from(fields[1].replace(/ /g, ''), 'hex') });
  }
  return vectors;
}

const escapes = { r: '\r', n: '\n', t: '\t', '|': '|', '\\': '\\' };

function unescape(text) {
  const plain = text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex, letter) =>
    hex === undefined ? escapes[letter] : String.fromCharCode(parseInt(hex, 16)),
  );
  return Buffer.from(plain, 'latin1');
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node make_corpus.mjs FOLDER\n');
  process.exit(2);
}
main(folder);
