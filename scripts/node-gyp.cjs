// node-gyp.cjs: what node-gyp needs to compile the addon by binding.gyp without a download: a folder with Node's headers and settings
// (those of the package node-api-headers and twenty lines are enough), and a folder of its own to work in, since it clears build/.
// CommonJS and without other dependencies: it is in the tarball; scripts/install.cjs and scripts/build-gyp.mjs share it.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const packageRoot = path.resolve(__dirname, '..');

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

/** Makes `folder` one for --nodedir. */
function makeNodeFolder(folder) {
  const include = path.join(folder, 'include', 'node');
  fs.cpSync(require('node-api-headers').include_dir, include, { recursive: true });
  fs.writeFileSync(path.join(include, 'common.gypi'), JSON.stringify(settings));
  fs.writeFileSync(path.join(include, 'config.gypi'), JSON.stringify({ variables: {}, target_defaults: {} }));
}

/**
 * Lays out `folder`, which must be below the package so that what it depends on is found, for node-gyp.
 * @returns where to run it, its arguments, and the file that comes out
 */
function prepare(folder, jobs) {
  const work = path.join(folder, 'work');
  const node = path.join(folder, 'node');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(path.join(work, 'scripts'), { recursive: true });
  const script = path.join('scripts', 'build-identity.cjs');
  for (const name of ['binding.gyp', 'package.json', 'native', script]) {
    fs.cpSync(path.join(packageRoot, name), path.join(work, name), { recursive: true });
  }
  makeNodeFolder(node);
  return {
    work,
    args: ['rebuild', '--release', `--nodedir=${node}`, `--jobs=${jobs}`],
    file: path.join(work, 'build', 'Release', 'tofu_ampe.node'),
  };
}

module.exports = { prepare };
