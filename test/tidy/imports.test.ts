// imports.test.ts: who may import whom. The only place where the layers are enforced; those of C++: native.test.ts.
// Every import, export-from, require() and import() of a literal is seen, type-only ones too: a layer must not even know the others' types.
import path from 'node:path';
import ts from 'typescript';
import { filesBelow, textOf } from './files';

const publicNames = ['tofu-ampe', 'tofu-ampe/testing', 'tofu-ampe/recipes'];
const sockets = [
  'node:net',
  'node:dns',
  'node:dns/promises',
  'node:tls',
  'node:dgram',
  'node:http',
  'node:fs',
  'node:fs/promises',
];
/** What finds and loads a .node file. */
const loadsTheAddon = ['node:fs', 'node:module', 'node:path', 'node-gyp-build'];

interface Rule {
  name: string;
  applies: (file: string) => boolean;
  /** `target` is a path from the root without extension, or the name of a package or a built-in with `node:`. */
  allows: (target: string, file: string) => boolean;
}

const isBuiltIn = (target: string): boolean => target.startsWith('node:');
const isHarmlessBuiltIn = (target: string): boolean => isBuiltIn(target) && !sockets.includes(target);
const within = (...folders: string[]) => {
  return (target: string): boolean => folders.some((folder) => target === folder || target.startsWith(`${folder}/`));
};
const isPublicFile = (target: string): boolean => /^lib\/[^/]+$/.test(target);

/** Programs around the package: what they share among themselves, built-ins, kept libraries, and the public names. */
const outsider = (folder: string, shared: string[], libraries: string[]): Rule => ({
  name: `${folder} knows the package by its public names only`,
  applies: within(folder),
  allows: (target) =>
    within(folder, ...shared)(target) ||
    isBuiltIn(target) ||
    publicNames.includes(target) ||
    libraries.includes(target),
});

const rules: Rule[] = [
  { name: 'lib/protocol imports only itself', applies: within('lib/protocol'), allows: within('lib/protocol') },
  {
    name: 'lib/engine imports itself and the protocol',
    applies: within('lib/engine'),
    allows: (target) => within('lib/engine', 'lib/protocol')(target) || isHarmlessBuiltIn(target),
  },
  {
    name: 'lib/fallback-engine imports itself, the engine interface and the protocol; sockets only in net.ts',
    applies: within('lib/fallback-engine'),
    allows: (target, file) =>
      within('lib/fallback-engine', 'lib/engine', 'lib/protocol')(target) ||
      (file === 'lib/fallback-engine/net.ts' ? isBuiltIn(target) : isHarmlessBuiltIn(target)),
  },
  {
    name: 'lib/native-engine imports itself, the engine interface and the protocol; the addon only in load.ts',
    applies: within('lib/native-engine'),
    allows: (target, file) =>
      within('lib/native-engine', 'lib/engine', 'lib/protocol')(target) ||
      (file === 'lib/native-engine/load.ts' && loadsTheAddon.includes(target)),
  },
  {
    name: 'lib/select-engine.ts alone imports the engines',
    applies: (file) => file === 'lib/select-engine.ts',
    allows: (target) =>
      within('lib/fallback-engine', 'lib/native-engine', 'lib/engine', 'lib/protocol')(target) ||
      isHarmlessBuiltIn(target),
  },
  {
    name: 'lib/testing.ts may open sockets, and knows no engine',
    applies: (file) => file === 'lib/testing.ts',
    allows: (target) => isPublicFile(target) || within('lib/protocol')(target) || isBuiltIn(target),
  },
  {
    name: 'lib/doctor.ts looks at what the loader did, and at files; it makes its engine by the public class',
    applies: (file) => file === 'lib/doctor.ts',
    allows: (target) =>
      ['lib/reactor', 'lib/native-engine/load', 'lib/native-engine/build-identity'].includes(target) ||
      ['node:fs', 'node:path'].includes(target),
  },
  {
    name: 'the public classes import each other, the engine interface, the protocol and select-engine',
    applies: (file) =>
      isPublicFile(file) && !['lib/select-engine.ts', 'lib/testing.ts', 'lib/doctor.ts'].includes(file),
    allows: (target) =>
      isPublicFile(target) || within('lib/engine', 'lib/protocol')(target) || isHarmlessBuiltIn(target),
  },
  outsider('recipes', [], []),
  outsider('demo', [], ['commander', 'cli-progress']),
  outsider(
    'test/conformance',
    ['test/support', 'test/vectors', 'test/unit/protocol/vectors', 'test/lifecycle/child'],
    ['@jest/globals', '@swc/core', 'expect', 'fast-check'],
  ),
  outsider('bench', ['scripts/ensure-build'], ['commander', '@observablehq/plot', 'linkedom']),
];

/** What a file imports, relative names resolved against the root. */
function importsOf(file: string, text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true);
  return importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return isBuiltInName(fileName) ? `node:${fileName}` : fileName;
    return path.posix.join(path.posix.dirname(file), fileName).replace(/\.(?:[cm]?[jt]s|json)$/, '');
  });
}

function isBuiltInName(name: string): boolean {
  return ['net', 'dns', 'tls', 'dgram', 'http', 'fs', 'fs/promises', 'dns/promises', 'path', 'os'].includes(name);
}

function violations(rule: Rule, file: string, text: string): string[] {
  return importsOf(file, text)
    .filter((target) => !rule.allows(target, file))
    .map((target) => `${file} imports ${target}`);
}

const sources = ['lib', 'recipes', 'demo', 'bench', 'test/conformance']
  .flatMap((folder) => filesBelow(folder))
  .filter((file) => /\.[cm]?[jt]s$/.test(file));

describe('import rules of the layers', () => {
  it.each(rules)('$name', (rule) => {
    const concerned = sources.filter((file) => rule.applies(file));
    expect(concerned).not.toEqual([]);
    expect(concerned.flatMap((file) => violations(rule, file, textOf(file)))).toEqual([]);
  });

  it('put every source under exactly one rule', () => {
    const unclear = sources.filter((file) => rules.filter((rule) => rule.applies(file)).length !== 1);
    expect(unclear).toEqual([]);
  });
});

describe('the import rules notice', () => {
  it.each([
    ['lib/protocol/framer.ts', `import { Pool } from '../engine/pool';`],
    ['lib/protocol/framer.ts', `import type { Socket } from 'node:net';`],
    ['lib/engine/pool.ts', `import net from 'net';`],
    ['lib/engine/pool.ts', `export * from '../message';`],
    ['lib/fallback-engine/reactor.ts', `const net = require('node:net');`],
    ['lib/fallback-engine/reactor.ts', `const dns = await import('node:dns/promises');`],
    ['lib/fallback-engine/net.ts', `import { Message } from '../message';`],
    ['lib/fallback-engine/reactor.ts', `import { NativeEngine } from '../native-engine/engine';`],
    ['lib/native-engine/engine.ts', `import { FallbackEngine } from '../fallback-engine/reactor';`],
    ['lib/native-engine/engine.ts', `import { Message } from '../message';`],
    ['lib/native-engine/engine.ts', `import build from 'node-gyp-build';`],
    ['lib/native-engine/ports.ts', `import fs from 'node:fs';`],
    ['lib/native-engine/load.ts', `import net from 'node:net';`],
    ['lib/group-poster.ts', `import { NativeEngine } from './native-engine/engine';`],
    ['lib/message.ts', `import { FallbackEngine } from './fallback-engine/reactor';`],
    ['lib/testing.ts', `import { FallbackEngine } from './fallback-engine/reactor';`],
    ['lib/select-engine.ts', `import { Message } from './message';`],
    ['recipes/echo.ts', `import { Message } from '../lib/index';`],
    ['recipes/echo.ts', `import { Message } from '../dist/lib/index.js';`],
    ['demo/main.ts', `import { Message } from 'tofu-ampe/lib/message';`],
    ['test/conformance/order.test.ts', `import { HEADER_BYTES } from '../../lib/protocol/constants';`],
    ['bench/run.mjs', `const { Reactor } = await import('../dist/lib/index.js');`],
  ])('%s: %s', (file, text) => {
    const rule = rules.find((each) => each.applies(file));
    expect(rule && violations(rule, file, text)).toHaveLength(1);
  });
});
