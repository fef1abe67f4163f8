#!/usr/bin/env node
// native-sources.mjs: the one list of C++ sources, native/sources.gypi, which both CMakeLists.txt and binding.gyp read.
// The list is in the repository, so that a build takes what was meant and not what happens to lie there; this script writes it
// from the folders, and a test says when it is not what the folders hold.
// Groups: core (no Node; every platform), core_linux and core_bsd (one poller each), addon (the only one that sees node_api.h).
// Usage: node scripts/native-sources.mjs [--check]
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const listFile = path.join(root, 'native', 'sources.gypi');
const coreFolders = ['native/base', 'native/protocol', 'native/os', 'native/core'];
/** Files for some platforms only, by the first word of their name. */
const platforms = { epoll: 'core_linux', kqueue: 'core_bsd' };

function sourcesBelow(folder) {
  if (!existsSync(path.join(root, folder))) return [];
  return readdirSync(path.join(root, folder), { recursive: true })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.cc'))
    .sort();
}

function groupOf(file) {
  const firstWord = path.basename(file, '.cc').split('_')[0];
  return Object.hasOwn(platforms, firstWord) ? platforms[firstWord] : 'core';
}

/** The text the list should have. It is JSON, which gyp reads as well. */
export function listText() {
  const variables = { core: [], core_linux: [], core_bsd: [], addon: sourcesBelow('native/addon') };
  for (const file of coreFolders.flatMap(sourcesBelow)) variables[groupOf(file)].push(file);
  return `${JSON.stringify({ variables }, null, 2)}\n`;
}

/** Writes the list when it is not what the folders hold; returns whether it was. */
export function updateList() {
  const text = listText();
  if (existsSync(listFile) && readFileSync(listFile, 'utf8') === text) return true;
  writeFileSync(listFile, text);
  return false;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [argument, ...more] = process.argv.slice(2);
  if ((argument !== undefined && argument !== '--check') || more.length > 0) {
    process.stderr.write('native-sources: known argument: --check\n');
    process.exitCode = 2;
  } else if (argument === undefined) {
    process.stdout.write(updateList() ? 'native/sources.gypi is fresh\n' : 'native/sources.gypi written\n');
  } else if (!existsSync(listFile) || readFileSync(listFile, 'utf8') !== listText()) {
    process.stderr.write('native/sources.gypi is not what native/ holds: node scripts/native-sources.mjs\n');
    process.exitCode = 1;
  }
}
