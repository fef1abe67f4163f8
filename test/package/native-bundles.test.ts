// native-bundles.test.ts: programs that were bundled into one file, as the README tells: by esbuild and by webpack, and as a single
// executable of Node. The binary is named by the option or the environment; without that the fallback engine runs and says why.
// Bundles run in a folder of their own, without node_modules, and print nothing but what the program prints.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import webpack from 'webpack';
import { addBinary, install, unset, type Installed } from './installed';

let installed: Installed;
let alone: string;
beforeAll(() => {
  installed = install();
  alone = fs.mkdtempSync(`${installed.folder}-alone-`);
  // What the README says to copy: here a folder with the one binary there is.
  addBinary(path.join(alone, 'prebuilds'));
}, 120_000);
afterAll(() => {
  installed?.remove();
  fs.rmSync(alone, { recursive: true, force: true });
});

/** A program whose first argument says how its binary is named. */
const program = (folder: string): string => `
  const reactor = Reactor.create(process.argv[2] === 'option' ? { prebuild: ${folder} } : {});
  const group = reactor.ampe().create();
  console.log(JSON.stringify([reactor.backend, reactor.backendReason]));
  reactor.destroy();`;

function entry(name: string, text: string): string {
  const file = path.join(installed.folder, name);
  fs.writeFileSync(file, text);
  return file;
}
const commonJs = (): string => entry('bundled.cjs', `const { Reactor } = require('tofu-ampe');${program('__dirname')}`);

const bundlers: Record<string, () => Promise<string>> = {
  'esbuild, CommonJS': async () => {
    const outfile = path.join(alone, 'esbuild.cjs');
    const { warnings } = await build({ entryPoints: [commonJs()], bundle: true, platform: 'node', outfile });
    expect(warnings).toEqual([]);
    return outfile;
  },
  'esbuild, ES module': async () => {
    const source = entry('bundled.mjs', `import { Reactor } from 'tofu-ampe';${program('import.meta.dirname')}`);
    const outfile = path.join(alone, 'esbuild.mjs');
    // esbuild's own remedy for CommonJS inside of ES modules.
    const js = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;
    const options = { bundle: true, platform: 'node', format: 'esm', banner: { js } } as const;
    const { warnings } = await build({ entryPoints: [source], outfile, ...options });
    expect(warnings).toEqual([]);
    return outfile;
  },
  webpack: () =>
    new Promise((resolve, reject) => {
      const output = { path: alone, filename: 'webpack.cjs' };
      const compiler = webpack({
        entry: commonJs(),
        target: 'node',
        mode: 'production',
        context: installed.folder,
        output,
      });
      compiler?.run((error, stats) => {
        const { warnings = [], errors = [] } = stats?.toJson() ?? {};
        if (error || errors.length + warnings.length > 0)
          reject(error ?? new Error(JSON.stringify([errors, warnings])));
        else compiler.close(() => resolve(path.join(alone, 'webpack.cjs')));
      });
    }),
};

/** Runs it with nothing on standard error; which engine it got, and why. */
function run(command: string, args: string[], environment: Record<string, string> = {}): [string, string] {
  const { NODE_OPTIONS: _none, ...inherited } = process.env;
  const env = { ...inherited, ...unset, ...environment };
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: alone, env, encoding: 'utf8', timeout: 30_000 });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

const BUNDLED = expect.stringMatching(
  /^no native engine was found: .*neither the option prebuild nor TOFU_AMPE_PREBUILD/,
);
const native = (): unknown => ['native', expect.stringContaining(path.join(alone, 'prebuilds'))];

describe.each(Object.keys(bundlers))('a bundle by %s', (name) => {
  let file: string;
  beforeAll(async () => {
    file = await bundlers[name]();
  }, 120_000);

  it('runs the native engine whose folder the option names', () => {
    expect(run(process.execPath, [file, 'option'])).toEqual(native());
  });

  it('runs the native engine whose folder the environment names', () => {
    expect(run(process.execPath, [file], { TOFU_AMPE_PREBUILD: alone })).toEqual(native());
  });

  it('runs the fallback engine otherwise, and says why', () => {
    expect(run(process.execPath, [file])).toEqual(['fallback', BUNDLED]);
  });
});
