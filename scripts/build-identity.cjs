#!/usr/bin/env node
// build-identity.cjs: what a binary and the package must have in common: the version, and a hash of what lies in native/.
// Every builder compiles it into the addon (cmake-js, node-gyp, the cross compiler), the build of dist/ writes it into the package,
// and the loader compares them. Only contents and names count: neither compiler, nor settings, nor times.
// CommonJS and without dependencies: it is in the tarball, for those who compile the package when they install it.
// Usage: node scripts/build-identity.cjs version|hash
'use strict';
const { createHash } = require('node:crypto');
const { readFileSync, readdirSync } = require('node:fs');
const path = require('node:path');

const packageRoot = path.resolve(__dirname, '..');
/** Half of a SHA-256 tells sources apart; nobody is to be kept from making two that are alike. */
const HASH_DIGITS = 32;

/** Files below native/ that are compiled or say how; with slashes, relative to the root, sorted. */
function nativeFiles(root = packageRoot) {
  return readdirSync(path.join(root, 'native'), { recursive: true })
    .map((name) => `native/${name.replaceAll('\\', '/')}`)
    .filter((name) => /\.(?:cc|h|gypi|map|txt)$/.test(name))
    .sort();
}

/** The hash of the native sources below `root`. */
function sourcesHash(root = packageRoot) {
  const hash = createHash('sha256');
  for (const file of nativeFiles(root)) {
    const content = readFileSync(path.join(root, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, HASH_DIGITS);
}

/** `{ version, sourcesHash }` of the package in `root`. */
function buildIdentity(root = packageRoot) {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  return { version, sourcesHash: sourcesHash(root) };
}

module.exports = { buildIdentity, nativeFiles, sourcesHash };

if (require.main === module) {
  const { version, sourcesHash: hash } = buildIdentity();
  const answers = { version, hash };
  const asked = process.argv[2];
  if (process.argv.length === 3 && Object.hasOwn(answers, asked)) process.stdout.write(`${answers[asked]}\n`);
  else {
    process.stderr.write('build-identity: ask for version or for hash\n');
    process.exitCode = 2;
  }
}
