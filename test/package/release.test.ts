// release.test.ts: what keeps a release from going out: contents of the tarball, reasons to refuse, a table of support that says no
// more than was seen. The runs themselves are npm run test:package and test:runtimes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { evaluate } from '../bench/evaluate';
import { root } from './installed';

/** Calls a function of a script, in a process of its own. */
const call = <T>(script: string, body: string, input?: unknown): T =>
  evaluate<T>([`../scripts/${script}`], `return ${body}`, input);
const runScript = (name: string, ...args: string[]) =>
  spawnSync(process.execPath, [path.join(root, 'scripts', name), ...args], { cwd: root, encoding: 'utf8' });

const cells = [{ id: 'node-20' }, { id: 'windows' }];
const run = { ok: true, engine: 'native', package: '1.2.3', sources: 'abc' };
const facts = {
  gitStatus: '',
  version: '1.2.3',
  sources: 'abc',
  changelog: '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2030-01-02\n\n### Added\n',
  stale: [] as string[],
  binaries: [] as string[],
  cells,
  runs: cells.map((cell) => ({ ...run, ...cell })),
};

describe('a release', () => {
  const refusals = (changed: Partial<typeof facts>, options = {}): string[] =>
    call('release-refusals.mjs', 'refusals(input.facts, input.options)', { facts: { ...facts, ...changed }, options });

  it('is refused for nothing when all is well', () => {
    expect(refusals({})).toEqual([]);
  });

  it.each<[string, Partial<typeof facts>, RegExp]>([
    ['a dirty tree', { gitStatus: ' M lib/index.ts\n?? new.ts\n' }, /not clean: lib\/index\.ts, new\.ts$/],
    ['a changelog without the version', { changelog: '## [1.2.2] - 2030-01-01\n' }, /no section for 1\.2\.3/],
    ['a version that only begins alike', { changelog: '## [1.2.34] - 2030-01-01\n' }, /no section for 1\.2\.3/],
    ['a version without a date', { changelog: '## [1.2.3] - unreleased\n' }, /does not say when 1\.2\.3/],
    ['a stale README', { stale: ['support'] }, /README\.md is stale: support/],
    ['a missing binary', { binaries: ['linux-x64/a.node is missing'] }, /a\.node is missing/],
    ['a cell nobody has tried', { runs: [{ ...run, id: 'node-20' }] }, /^never tried .*: windows$/],
    [
      'a cell that failed',
      { runs: facts.runs.map((each) => ({ ...each, ok: each.id !== 'windows' })) },
      /^failed: windows$/,
    ],
    [
      'a cell tried with other sources',
      { runs: facts.runs.map((each, index) => ({ ...each, sources: index === 0 ? 'old' : 'abc' })) },
      /^tried with other sources .*: node-20$/,
    ],
  ])('is refused for %s, and for that only', (_name, changed, reason) => {
    expect(refusals(changed)).toEqual([expect.stringMatching(reason)]);
  });

  it('that is a trial may lack the date, and nothing else', () => {
    expect(refusals({ changelog: '## [1.2.3] - unreleased\n' }, { dryRun: true })).toEqual([]);
    expect(refusals({ changelog: '' }, { dryRun: true })).toHaveLength(1);
  });

  it('is never made without tests', () => {
    const { status, stderr } = runScript('release.mjs', '--skip-tests');
    expect(status).toBe(2);
    expect(stderr).toContain('--skip-tests is for --dry-run only');
  });

  it('knows its options', () => {
    expect(runScript('release.mjs', '--dry')).toMatchObject({ status: 2, stderr: expect.stringContaining('--dry') });
  });

  it('is what npm publish asks first', () => {
    const { scripts } = jest.requireActual<{ scripts: Record<string, string> }>(path.join(root, 'package.json'));
    expect(scripts.prepublishOnly).toBe('node scripts/release.mjs --refusals');
    expect(scripts.prepack).toContain('ensure-build.mjs --force');
  });
});

describe('the tarball', () => {
  const manifest = { main: './dist/lib/index.js', exports: { '.': { types: './dist/lib/index.d.ts' } } };
  const binaries = ['linux-x64/tofu-ampe.glibc.node'];
  const names = [
    ...['LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'package.json', 'binding.gyp', 'native/sources.gypi'],
    ...['dist/lib/index.js', 'dist/lib/index.d.ts', 'native/core/a.cc', `prebuilds/${binaries[0]}`],
  ];
  const complaints = (files: string[], packedBytes = 1000): string[] =>
    call('tarball.mjs', 'complaintsAbout(input.tarball, input.wanted)', {
      tarball: { files: files.map((name) => ({ path: name, size: 1 })), packedBytes },
      wanted: { manifest, binaries },
    });

  it('is accepted with what belongs into it', () => {
    expect(complaints(names)).toEqual([]);
  });

  it.each(['lib/index.ts', 'test/a.test.ts', 'bench/run.mjs', 'dist/lib/index.js.map', 'dist/demo/main.js', '.ci/run'])(
    'may not hold %s',
    (name) => {
      expect(complaints([...names, name])).toEqual([`${name} does not belong into the tarball`]);
    },
  );

  it.each(names.filter((name) => !['package.json', 'native/core/a.cc'].includes(name)))('must hold %s', (missing) => {
    expect(complaints(names.filter((name) => name !== missing))).toEqual([`${missing} is missing in the tarball`]);
  });

  it('may hold no binary that no target has, and has a greatest size', () => {
    expect(complaints([...names, 'prebuilds/linux-x64/b.node'])).toEqual([expect.stringContaining('for no target')]);
    expect(complaints(names, 5_000_000)).toEqual([expect.stringContaining('5000 kB, more than')]);
  });
});

describe('the table of support', () => {
  const seen = { id: 'a', platform: 'linux x64', runtime: 'Node', version: '20.1.0', how: 'exchange', outcome: '' };
  const line = (changed: object) => ({ ...seen, engine: 'native', ok: true, date: '2030-01-02', ...changed });

  it('in the README is that of what was seen', () => {
    expect(runScript('support.mjs', '--check')).toMatchObject({ status: 0, stderr: '' });
  });

  it('has a row per runtime with both engines, and tells what failed', () => {
    const runs = [line({}), line({ engine: 'fallback', ok: false }), line({ version: '22.0.0', outcome: '9 tests' })];
    const text = call<string>('support.mjs', 'table(input)', runs);
    expect(text).toContain('| linux x64 | Node 20.1.0 | exchange | **failed**: exchange |');
    expect(text).toContain('| linux x64 | Node 22.0.0 | exchange, 9 tests | - |');
    expect(text).toContain('test:runtimes`, 2030-01-02.');
  });

  it('takes a new run for the earlier one, keeps the others in order, and forgets cells that are no more', () => {
    const merged = call<{ id: string; date: string }[]>('support.mjs', 'merge(input.old, input.now, ["a", "b"])', {
      old: [line({ id: 'b' }), line({}), line({ id: 'gone' })],
      now: [line({ date: '2031-01-01' })],
    });
    expect(merged.map(({ id, date }) => `${id} ${date}`)).toEqual(['a 2031-01-01', 'b 2030-01-02']);
  });

  it('is written between its marks only', () => {
    const begin = '<!-- support: written by scripts/support.mjs -->';
    const page = `before\n${begin}\nold\n<!-- end of support -->\nafter\n`;
    const filled = call<string>('support.mjs', 'fill(input.page, input.runs)', { page, runs: [line({})] });
    expect(filled).toMatch(/^before\n[\s\S]*exchange[\s\S]*\nafter\n$/);
    expect(filled).not.toContain('old');
    expect(() => call('support.mjs', 'fill("no marks", [])')).toThrow(/no block/);
  });
});

it('a room lets through to the registry, writes down what else was asked for, and inherits nothing', () => {
  const body = `(async () => {
    const { createServer, connect } = await import('node:net');
    const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const gate = await openGate('127.0.0.1', undefined);
    const ask = (host) => new Promise((resolve) => {
      const socket = connect(Number(new URL(gate.url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (data) => (text += data)).on('close', () => resolve(text)).on('error', () => undefined);
      socket.write('CONNECT ' + host + ':' + server.address().port + ' HTTP/1.1\\r\\n\\r\\n');
    });
    const answers = [await ask('127.0.0.1'), await ask('elsewhere.invalid')];
    server.close();
    gate.close();
    const room = new Room('test');
    const { stdout } = await room.run([process.execPath, '-p', 'Object.keys(process.env).sort().join()']);
    room.remove();
    return { answers, allowed: gate.allowed(), refused: gate.refused.length, environment: stdout.trim() };
  })()`;
  const { answers, ...rest } = call<Record<string, unknown> & { answers: string[] }>('room.mjs', body);
  expect(answers[0]).toMatch(/^HTTP\/1\.1 200 [\s\S]*hello$/);
  expect(answers[1]).toMatch(/^HTTP\/1\.1 403 /);
  expect(rest).toMatchObject({ allowed: 1, refused: 1 });
  expect(rest.environment).toMatch(/^HOME,NO(?:DE_EXTRA_CA_CERTS,NO)?_COLOR,NPM_CONFIG_USERCONFIG,PATH(?:,SSL_\w+)*$/);
});

describe('the signature of a macOS library', () => {
  const PAGE = 4096;
  const SIGNED_BYTES = 2 * PAGE + 100;

  /** The least that is one: a header, one load command, three pages, and a signature of them. */
  function signedLibrary(flags = 2): Buffer {
    const code = Buffer.alloc(SIGNED_BYTES, 'code');
    [0xfeedfacf, 0x0100000c, 0, 6, 1, 16, 0, 0].forEach((word, index) => code.writeUInt32LE(word, 4 * index));
    [0x1d, 16, SIGNED_BYTES, 1000].forEach((word, index) => code.writeUInt32LE(word, 32 + 4 * index));
    const pages = [0, 1, 2].map((index) => code.subarray(index * PAGE, (index + 1) * PAGE));
    const hashes = pages.map((page) => createHash('sha256').update(page).digest());
    const directory = Buffer.alloc(44);
    const words = [0xfade0c02, 44 + 32 * hashes.length, 0x20400, flags, 44, 0, 0, hashes.length, SIGNED_BYTES];
    words.forEach((word, index) => directory.writeUInt32BE(word, 4 * index));
    directory.set([32, 2, 0, 12], 36);
    const blob = Buffer.alloc(20);
    [0xfade0cc0, 20 + words[1], 1, 0, 20].forEach((word, index) => blob.writeUInt32BE(word, 4 * index));
    return Buffer.concat([code, blob, directory, ...hashes]);
  }
  const complaint = (bytes: Buffer): string | null =>
    call('mac-signature.mjs', 'signatureComplaint(Buffer.from(input, "base64"))', bytes.toString('base64'));

  it('is accepted when it fits every page', () => {
    expect(complaint(signedLibrary())).toBeNull();
  });

  it('is refused when a byte of any page is another, when it is not ad hoc, and when there is none', () => {
    for (const page of [0, 1, 2]) {
      const bytes = signedLibrary();
      bytes[page * PAGE + 60] ^= 1;
      expect(complaint(bytes)).toBe(`page ${page} is not what was signed`);
    }
    expect(complaint(signedLibrary(0))).toMatch(/not ad hoc/);
    const unsigned = signedLibrary();
    unsigned.writeUInt32LE(0, 16);
    expect(complaint(unsigned)).toBe('it is not signed');
    expect(complaint(Buffer.from('ELF'))).toMatch(/no 64-bit Mach-O/);
  });
});
