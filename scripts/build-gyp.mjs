#!/usr/bin/env node
// build-gyp.mjs: compiles the addon by binding.gyp and node-gyp, without a download, and loads what came out.
// node-gyp wants a folder with Node's headers and settings; those of node-api-headers and twenty lines of settings are enough.
// Works in build/gyp, through links to the sources: node-gyp would otherwise clear build/, where the addon in use is.
// Usage: node scripts/build-gyp.mjs [--quiet]
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);

/** What Node's own common.gypi says of an addon, in short. */
const settings = {
  target_defaults: {
    default_configuration: 'Release',
    configurations: {
      Debug: { cflags: ['-g', '-O0'] },
      Release: { cflags: ['-O2'] },
    },
    cflags: ['-fPIC', '-pthread'],
    ldflags: ['-pthread'],
    conditions: [
      ["OS=='linux'", { defines: ['_FILE_OFFSET_BITS=64'] }],
      ["OS=='mac'", { xcode_settings: { OTHER_LDFLAGS: ['-undefined', 'dynamic_lookup'] } }],
    ],
  },
};

/** A folder for --nodedir. */
function makeNodeFolder(folder) {
  const include = path.join(folder, 'include', 'node');
  cpSync(require('node-api-headers').include_dir, include, { recursive: true });
  writeFileSync(path.join(include, 'common.gypi'), JSON.stringify(settings));
  writeFileSync(path.join(include, 'config.gypi'), JSON.stringify({ variables: {}, target_defaults: {} }));
}

/** The sources as node-gyp shall see them: links, in a folder whose build/ is its own. */
function makeWorkFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ['binding.gyp', 'package.json', 'native', 'node_modules']) {
    symlinkSync(path.join(root, name), path.join(folder, name));
  }
}

/** Returns the file that was built, null when it failed; what node-gyp says goes to standard error, unless all is well and quiet. */
export function buildGyp({ quiet = false } = {}) {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-gyp-'));
  try {
    makeNodeFolder(scratch);
    const work = path.join(root, 'build', 'gyp');
    makeWorkFolder(work);
    const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
    const args = [nodeGyp, 'rebuild', '--release', `--nodedir=${scratch}`, `--jobs=${os.availableParallelism()}`];
    const ended = spawnSync(process.execPath, args, { cwd: work, encoding: 'utf8', maxBuffer: 2 ** 28 });
    if (!quiet || ended.status !== 0) process.stderr.write(`${ended.stdout}${ended.stderr}`);
    return ended.status === 0 ? path.join(work, 'build', 'Release', 'tofu_ampe.node') : null;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (process.argv[1] && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const file = buildGyp({ quiet: process.argv.includes('--quiet') });
  if (file === null) {
    process.stderr.write('build-gyp: the build failed, see above\n');
    process.exitCode = 1;
  } else {
    const functions = Object.values(require(file)).filter((value) => typeof value === 'function');
    process.stdout.write(`${path.relative(root, file)}: loads, ${functions.length} functions\n`);
  }
}
