#!/usr/bin/env node
// build-gyp.mjs: compiles the addon by binding.gyp and the repository's own node-gyp, without a download, and loads what came out.
// Works in build/gyp, on a copy of the sources (scripts/node-gyp.cjs): what is in use in build/Release stays as it is.
// Usage: node scripts/build-gyp.mjs [--quiet]
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import nodeGypFolders from './node-gyp.cjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

/** Returns the file that was built, null when it failed; what node-gyp says goes to standard error, unless all is well and quiet. */
export function buildGyp({ quiet = false } = {}) {
  const { work, args, file } = nodeGypFolders.prepare(path.join(root, 'build', 'gyp'), os.availableParallelism());
  const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
  const ended = spawnSync(process.execPath, [nodeGyp, ...args], { cwd: work, encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (!quiet || ended.status !== 0) process.stderr.write(`${ended.stdout}${ended.stderr}`);
  return ended.status === 0 ? file : null;
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const file = buildGyp({ quiet: process.argv.includes('--quiet') });
  if (file === null) {
    process.stderr.write('build-gyp: the build failed, see above\n');
    process.exitCode = 1;
  } else {
    const { build, ...rest } = require(file);
    const functions = Object.values(rest).filter((value) => typeof value === 'function');
    const what = `${functions.length} functions, ${build.version} from the sources ${build.sourcesHash}`;
    process.stdout.write(`${path.relative(root, file)}: loads, ${what}\n`);
  }
}
