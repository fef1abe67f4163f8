// binary-file.mjs: what an ELF or Mach-O file says of itself: for which machine it is, which symbols it shows and wants, what it
// asks of the system. Read from the bytes, so that binaries for any machine can be checked on any other, with no tools.
// Knows little-endian files, ELF of 32 and 64 bits, Mach-O of 64 bits; throws for everything else.
import { readFileSync } from 'node:fs';

/**
 * @returns { format, machine, libraries, exported, imported, versions (ELF: as 'GLIBC_2.17'), flags (ELF: NODELETE),
 *   isStripped, minimumSystem and isSigned (Mach-O) }
 */
export function readBinary(file) {
  const bytes = readFileSync(file);
  if (bytes.length > 64 && bytes.readUInt32BE(0) === 0x7f454c46) return readElf(bytes);
  if (bytes.length > 32 && bytes.readUInt32LE(0) === 0xfeedfacf) return readMachO(bytes);
  throw new Error(`${file} is neither ELF nor Mach-O`);
}

function textAt(bytes, at) {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}

// ── ELF ──

const elfMachines = { 40: 'arm', 62: 'x64', 183: 'arm64' };
const SECTION = { symbols: 2, dynamic: 6, dynamicSymbols: 11, versionNeeds: 0x6ffffffe };
const TAG = { needed: 1, flags1: 0x6ffffffb };
const NODELETE = 8;
const LOCAL = 0;

function readElf(bytes) {
  const is64 = bytes[4] === 2;
  if (bytes[5] !== 1) throw new Error('a big-endian ELF file');
  const word = (at) => (is64 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at));
  const sections = elfSections(bytes, is64, word);
  const ofType = (type) => sections.filter((section) => section.type === type);
  const names = (section) => sections[section.link].offset;
  const result = {
    format: 'ELF',
    machine: elfMachines[bytes.readUInt16LE(18)],
    libraries: [],
    exported: [],
    imported: [],
    versions: [],
    flags: [],
    isStripped: ofType(SECTION.symbols).length === 0,
  };
  for (const section of ofType(SECTION.dynamic)) {
    for (let at = section.offset; at < section.offset + section.size; at += is64 ? 16 : 8) {
      const value = word(at + (is64 ? 8 : 4));
      if (word(at) === TAG.needed) result.libraries.push(textAt(bytes, names(section) + value));
      if (word(at) === TAG.flags1 && (value & NODELETE) !== 0) result.flags.push('NODELETE');
    }
  }
  for (const section of ofType(SECTION.dynamicSymbols)) {
    const size = is64 ? 24 : 16;
    for (let at = section.offset + size; at < section.offset + section.size; at += size) {
      const name = textAt(bytes, names(section) + bytes.readUInt32LE(at));
      const binding = bytes[at + (is64 ? 4 : 12)] >> 4;
      const isDefined = bytes.readUInt16LE(at + (is64 ? 6 : 14)) !== 0;
      if (binding !== LOCAL && name !== '') result[isDefined ? 'exported' : 'imported'].push(name);
    }
  }
  for (const section of ofType(SECTION.versionNeeds))
    result.versions.push(...elfVersions(bytes, section, names(section)));
  return result;
}

function elfSections(bytes, is64, word) {
  const first = word(is64 ? 40 : 32);
  const size = bytes.readUInt16LE(is64 ? 58 : 46);
  const count = bytes.readUInt16LE(is64 ? 60 : 48);
  return Array.from({ length: count }, (_, index) => {
    const at = first + index * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: word(at + (is64 ? 24 : 16)),
      size: word(at + (is64 ? 32 : 20)),
      link: bytes.readUInt32LE(at + (is64 ? 40 : 24)),
    };
  });
}

/** The versions of each library that are needed, as two nested lists whose entries say where the next one is. */
function elfVersions(bytes, section, names) {
  const found = [];
  for (let need = section.offset, next = 1; next !== 0; need += next) {
    next = bytes.readUInt32LE(need + 12);
    let aux = need + bytes.readUInt32LE(need + 8);
    for (let left = bytes.readUInt16LE(need + 2); left > 0; left--) {
      found.push(textAt(bytes, names + bytes.readUInt32LE(aux + 8)));
      aux += bytes.readUInt32LE(aux + 12);
    }
  }
  return [...new Set(found)];
}

// ── Mach-O ──

const machMachines = { 0x01000007: 'x64', 0x0100000c: 'arm64' };
const COMMAND = {
  symbols: 0x2,
  loadDylib: 0xc,
  signature: 0x1d,
  dyldInfo: 0x22,
  minimumMacos: 0x24,
  buildVersion: 0x32,
  exportsTrie: 0x33,
};
const EXTERNAL = 0x01;
const DEBUGGING = 0xe0;
const TYPE = 0x0e;

function readMachO(bytes) {
  const result = {
    format: 'Mach-O',
    machine: machMachines[bytes.readUInt32LE(4)],
    libraries: [],
    exported: [],
    imported: [],
    versions: [],
    flags: [],
    isStripped: false,
    minimumSystem: null,
    isSigned: false,
  };
  let at = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const command = bytes.readUInt32LE(at) & 0x7fffffff;
    if (command === COMMAND.symbols) result.imported = machImports(bytes, at);
    else if (command === COMMAND.dyldInfo) result.exported.push(...machExports(bytes, bytes.readUInt32LE(at + 40)));
    else if (command === COMMAND.exportsTrie) result.exported.push(...machExports(bytes, bytes.readUInt32LE(at + 8)));
    else if (command === COMMAND.loadDylib) result.libraries.push(textAt(bytes, at + bytes.readUInt32LE(at + 8)));
    else if (command === COMMAND.signature) result.isSigned = bytes.readUInt32LE(at + 12) > 0;
    else if (command === COMMAND.buildVersion) result.minimumSystem = machVersion(bytes.readUInt32LE(at + 12));
    else if (command === COMMAND.minimumMacos) result.minimumSystem = machVersion(bytes.readUInt32LE(at + 8));
    at += bytes.readUInt32LE(at + 4);
  }
  return result;
}

/** Undefined symbols of the symbol table. */
function machImports(bytes, at) {
  const [first, count, names] = [8, 12, 16].map((offset) => bytes.readUInt32LE(at + offset));
  const found = [];
  for (let symbol = first; symbol < first + count * 16; symbol += 16) {
    const type = bytes[symbol + 4];
    const isUndefined = (type & EXTERNAL) !== 0 && (type & (DEBUGGING | TYPE)) === 0;
    if (isUndefined) found.push(withoutUnderscore(textAt(bytes, names + bytes.readUInt32LE(symbol))));
  }
  return found;
}

/** The symbols of the tree that the dynamic linker looks names up in: each edge is a piece of a name. */
function machExports(bytes, start) {
  const found = [];
  const visit = (node, prefix) => {
    const [terminal, size] = uleb(bytes, node);
    if (terminal > 0) found.push(withoutUnderscore(prefix));
    let at = node + size + terminal;
    for (let left = bytes[at++]; left > 0; left--) {
      const piece = textAt(bytes, at);
      const [child, childSize] = uleb(bytes, at + piece.length + 1);
      visit(start + child, prefix + piece);
      at += piece.length + 1 + childSize;
    }
  };
  if (start > 0) visit(start, '');
  return found;
}

/** A number in groups of seven bits, the lowest first, and how many bytes it takes. */
function uleb(bytes, at) {
  let value = 0;
  let size = 0;
  do value |= (bytes[at + size] & 0x7f) << (7 * size);
  while (bytes[at + size++] >= 0x80);
  return [value, size];
}

const withoutUnderscore = (name) => name.replace(/^_/, '');

function machVersion(packed) {
  return `${packed >> 16}.${(packed >> 8) & 0xff}`;
}
