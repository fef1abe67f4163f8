// native-loading.test.ts: the native engine of the installed package: loaded where its binary is, refused where it is of other sources.
// The binary is the one that was built here, put where a prebuilt one belongs: made from the same sources, it says the same of itself.
import fs from 'node:fs';
import path from 'node:path';
import { addBinary, install, runProgram, type Installed } from './installed';

let installed: Installed;
beforeAll(() => {
  installed = install();
}, 120_000);
afterAll(() => installed?.remove());

const place = (...names: string[]): string => path.join(installed.folder, 'node_modules', 'tofu-ampe', ...names);
afterEach(() => fs.rmSync(place('prebuilds'), { recursive: true, force: true }));

/** Environments of the one who runs the tests must not choose. */
const unset = { TOFU_AMPE_BACKEND: '', TOFU_AMPE_PREBUILD: '' };

/** Makes the file one of other sources. */
function alter(file: string): void {
  const text = fs.readFileSync(file, 'latin1');
  fs.writeFileSync(file, text.replace(/(tofu-ampe@[^#]+#)[0-9a-f]{32}/, `$1${'0'.repeat(32)}`), 'latin1');
}

describe('the engine of the package', () => {
  const program = [
    `const { Reactor } = require('tofu-ampe');`,
    `const reactor = Reactor.create();`,
    `console.log(JSON.stringify([reactor.backend, reactor.backendReason]));`,
    `reactor.destroy();`,
  ].join('\n');
  const chosen = (env: Record<string, string> = {}): [backend: string, reason: string] =>
    JSON.parse(runProgram(installed, 'engine.cjs', program, { ...unset, ...env }));

  it('is the native one where its binary is, unless the other is asked for', () => {
    const file = addBinary(place('prebuilds'));
    expect(chosen()).toEqual(['native', expect.stringContaining(file)]);
    expect(chosen({ TOFU_AMPE_BACKEND: 'fallback' })[0]).toBe('fallback');
  });

  it('is the fallback where the binary was made from other sources, and says so', () => {
    const file = addBinary(place('prebuilds'));
    alter(file);
    const [backend, reason] = chosen();
    expect(backend).toBe('fallback');
    expect(reason).toContain(`${file} was built from the sources of `);
    expect(reason).toContain('(00000000), this package is ');
  });

  it('is the native one where another file fits, and says what was passed over', () => {
    const [good, old] = [addBinary(place('prebuilds')), place('build', 'Release', 'tofu_ampe.node')];
    fs.mkdirSync(path.dirname(old), { recursive: true });
    fs.copyFileSync(good, old);
    alter(old);
    try {
      const [backend, reason] = chosen();
      expect(backend).toBe('native');
      expect(reason.startsWith(`${good}, `)).toBe(true);
      expect(reason).toContain(`; ${old} was built from the sources of `);
    } finally {
      fs.rmSync(place('build'), { recursive: true });
    }
  });
});
