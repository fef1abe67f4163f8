// Lets a plain node process require the TypeScript of the suite and of the library, as jest.config.cjs does for jest.
// For child processes of tests that need the suite's support or the sources rather than the build.
'use strict';

const Module = require('node:module');
const path = require('node:path');
const { transformFileSync } = require('@swc/core');

const ROOT = path.resolve(__dirname, '../../..');
const OWN_NAMES = new Map([
  ['tofu-ampe', path.join(ROOT, 'lib/index.ts')],
  ['tofu-ampe/testing', path.join(ROOT, 'lib/testing.ts')],
]);

require.extensions['.ts'] = (module, file) => {
  const { code } = transformFileSync(file, {
    configFile: false,
    swcrc: false,
    sourceMaps: 'inline',
    jsc: { target: 'es2022', parser: { syntax: 'typescript', explicitResourceManagement: true } },
    module: { type: 'commonjs' },
  });
  module._compile(code, file);
};

const resolve = Module._resolveFilename;
Module._resolveFilename = (request, ...rest) => resolve(OWN_NAMES.get(request) ?? request, ...rest);
