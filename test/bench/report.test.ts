// report.test.ts: the page, its plots and the README's block say what the figures say, and nothing stale stays in the repository.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { evaluate, node, root } from './evaluate';
import { figures } from './figures';

const scratch = mkdtempSync(join(tmpdir(), 'ta-report-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const page = (input: unknown): string => evaluate<string>(['lib/report/page.mjs'], 'return renderPage(input)', input);
const fill = (text: string, of: object): string =>
  evaluate<string>(['lib/report/page.mjs'], 'return fillReadme(input.text, input.of)', { text, of });

describe('the page', () => {
  const text = page(figures);

  test('tells the machine, the date, the versions, and how many runs failed or were disturbed', () => {
    expect(text).toContain('2 × Some CPU, linux x64 6.1, Node 20.1.2, 2030-01-02.');
    expect(text).toContain('zeromq 6.8.0');
    expect(text).toContain('1 failed, 1 disturbed');
  });

  test('has medians with their spread, and ratios', () => {
    expect(text).toContain('| Unix socket | native | 2.00 M [1.80 M – 2.20 M] | 0.50 [0.45 – 0.55] |');
  });

  test('has a part for each program, and none for one that was not run', () => {
    const headings = (of: string): string[] => of.match(/^## .+$/gm) ?? [];
    expect(headings(text)).toEqual([
      '## Against others',
      '## How cost grows',
      '## Latency under load',
      '## Other costs',
    ]);
    expect(headings(page({ scaling: figures.scaling }))).toEqual(['## How cost grows']);
  });

  test('says of a trial that it is one', () => {
    expect(text).not.toContain('A trial');
    expect(page({ ...figures, costs: { ...figures.costs, quick: true } })).toContain('A trial with short runs');
  });

  test('has tables whose rows are all as long as their heads', () => {
    const tables = text.split(/\n\n/).filter((block) => block.startsWith('|'));
    expect(tables.length).toBeGreaterThan(8);
    const cells = (line: string): number => line.split('|').length;
    for (const table of tables) {
      const [head, ...rows] = table.trimEnd().split('\n');
      expect(rows.filter((row) => cells(row) !== cells(head))).toEqual([]);
    }
  });

  test('shows the plots that are written, and no others', () => {
    const plots = evaluate<Record<string, string>>(['lib/report/page.mjs'], 'return renderPlots(input)', figures);
    const shown = [...text.matchAll(/\(plots\/(\S+)\)/g)].map(([, name]) => name);
    expect(Object.keys(plots).sort()).toEqual(shown.sort());
    for (const svg of Object.values(plots)) {
      expect(svg).toMatch(/^<svg [\s\S]*xmlns="http:\/\/www.w3.org\/2000\/svg"[\s\S]*<\/svg>\n$/);
      expect(svg).toContain('native');
      expect(svg).not.toMatch(/NaN|undefined/);
    }
  });
});

describe('the block in the README', () => {
  const empty = 'Before.\n<!-- figures: written by bench/report.mjs -->\nold\n<!-- end of figures -->\nAfter.\n';

  test('is filled from a full comparison, and the same again changes nothing', () => {
    const once = fill(empty, figures);
    expect(once).toMatch(
      /^Before\.\n<!-- figures[\s\S]+\| one way, 64 B \| 2\.00 M\/s \| 0\.50 \|[\s\S]+<!-- end of figures -->\nAfter\.\n$/,
    );
    expect(once).not.toContain('old');
    expect(fill(once, figures)).toBe(once);
  });

  test.each([
    ['a trial', { peers: { ...figures.peers, quick: true } }],
    ['no comparison', { scaling: figures.scaling }],
    ['figures without the native engine', { peers: { ...figures.peers, summary: figures.peers.summary.slice(0, 1) } }],
  ])('is left alone by %s', (_, of) => {
    expect(fill(empty, of)).toBe(empty);
  });

  test('must be there', () => {
    expect(() => fill('No block.\n', figures)).toThrow('has no block');
  });
});

describe('npm run bench:report', () => {
  test('finds nothing stale here', () => {
    expect(node(['bench/report.mjs', '--check'])).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  test('writes what it has figures for; --check then finds it fresh, and stale after a change by hand', () => {
    const readme = join(scratch, 'README.md');
    writeFileSync(readme, readFileSync(join(root, 'README.md')));
    writeFileSync(join(scratch, 'peers.json'), JSON.stringify(figures.peers));
    const report = (...more: string[]): ReturnType<typeof node> =>
      node(['bench/report.mjs', '--results', scratch, '--out', scratch, '--readme', readme, ...more]);
    expect(report('--check')).toMatchObject({ status: 1, stdout: expect.stringContaining('RESULTS.md') });
    expect(report()).toMatchObject({ status: 0, stderr: '' });
    expect(report('--check')).toEqual({ status: 0, stdout: '', stderr: '' });
    writeFileSync(join(scratch, 'RESULTS.md'), 'mine\n');
    expect(report('--check').status).toBe(1);
  });
});
