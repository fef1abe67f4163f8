#!/usr/bin/env node
// bundle.mjs: puts the modules of each entry of lib/ into one file. The names that modules give each other become constants of one scope
// that way, which the compiler folds into the code that runs for each message, where exports are looked up each time; and a program loads
// one file instead of fifty.
// What the build writes anew without compiling, lib/native-engine/build-identity.js, stays a module of its own.
// Usage: node scripts/bundle.mjs FOLDER    writes FOLDER/lib/<entry>.js
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import ts from 'typescript';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const entries = ['index', 'testing', 'doctor'];
const identity = path.join(root, 'lib', 'native-engine', 'build-identity.ts');

/** Two classes may know each other, as long as nothing of either runs while modules are loaded; and `using` is compiled to a look at `this`. */
const expected = new Set(['CIRCULAR_DEPENDENCY', 'THIS_IS_UNDEFINED']);

/** The sources as rollup understands them; tsc has checked their types. */
const typescript = {
  name: 'typescript',
  resolveId: (source, importer) => {
    if (!source.startsWith('.') || importer === undefined) return null;
    const id = path.resolve(path.dirname(importer), `${source}.ts`);
    return id === identity ? { id: './native-engine/build-identity.js', external: true } : id;
  },
  load: (id) => {
    const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
    return ts.transpileModule(readFileSync(id, 'utf8'), { fileName: id, compilerOptions }).outputText;
  },
};

async function bundle(entry, folder) {
  const build = await rollup({
    input: path.join(root, 'lib', `${entry}.ts`),
    plugins: [typescript],
    external: /^node(:|-gyp-build$)/,
    onLog: (level, log) => {
      if (!expected.has(log.code)) throw new Error(`${level}: ${log.message}`);
    },
  });
  try {
    const file = path.join(folder, 'lib', `${entry}.js`);
    await build.write({
      file,
      format: 'cjs',
      esModule: true,
      generatedCode: 'es2015',
      interop: 'auto',
      externalLiveBindings: false,
    });
  } finally {
    await build.close();
  }
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node scripts/bundle.mjs FOLDER\n');
  process.exit(2);
}
for (const entry of entries) await bundle(entry, path.resolve(folder));
