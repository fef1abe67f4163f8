// mac-signature.mjs: whether the code signature of a macOS library fits its bytes, told without a Mac. Without one that fits, macOS on
// arm64 kills the process that loads it. Checked as the kernel does it: the SHA-256 of each page must be the one that is signed.
// Who has signed is another matter: ours are ad hoc, which names nobody. Thin 64-bit little-endian files only.
import { createHash } from 'node:crypto';

const MAGIC_64 = 0xfeedfacf;
const CODE_SIGNATURE = 0x1d;
const SUPER_BLOB = 0xfade0cc0;
const CODE_DIRECTORY = 0xfade0c02;
const ADHOC = 0x2;
const SHA256 = 2;

/** null when the signature is there, ad hoc, and fits; else what is wrong. */
export function signatureComplaint(bytes) {
  if (bytes.length < 32 || bytes.readUInt32LE(0) !== MAGIC_64) return 'this is no 64-bit Mach-O file';
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    if (bytes.readUInt32LE(at) === CODE_SIGNATURE) return complaintOf(bytes, bytes.readUInt32LE(at + 8));
    at += bytes.readUInt32LE(at + 4);
  }
  return 'it is not signed';
}

function complaintOf(bytes, at) {
  if (bytes.readUInt32BE(at) !== SUPER_BLOB) return 'the signature is no super blob';
  for (let i = 0; i < bytes.readUInt32BE(at + 8); i++) {
    const blob = at + bytes.readUInt32BE(at + 12 + 8 * i + 4);
    if (bytes.readUInt32BE(blob) !== CODE_DIRECTORY) continue;
    if ((bytes.readUInt32BE(blob + 12) & ADHOC) === 0) return 'the signature is not ad hoc';
    return pageComplaint(bytes, blob, at);
  }
  return 'the signature has no code directory';
}

/** The first page that is not what was signed. All bytes before the signature must be covered. */
function pageComplaint(bytes, directory, end) {
  const [hashes, count, limit] = [16, 28, 32].map((offset) => bytes.readUInt32BE(directory + offset));
  const [hashSize, hashType, , pageBits] = bytes.subarray(directory + 36, directory + 40);
  if (hashType !== SHA256 || hashSize !== 32) return 'its hashes are not SHA-256';
  const pageSize = 2 ** pageBits;
  if (limit !== end || count !== Math.ceil(limit / pageSize))
    return `${count} pages, ${limit} bytes are signed of ${end}`;
  for (let i = 0; i < count; i++) {
    const page = bytes.subarray(i * pageSize, Math.min((i + 1) * pageSize, limit));
    const signed = bytes.subarray(directory + hashes + 32 * i, directory + hashes + 32 * (i + 1));
    if (!createHash('sha256').update(page).digest().equals(signed)) return `page ${i} is not what was signed`;
  }
  return null;
}
