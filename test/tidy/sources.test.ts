// sources.test.ts: habits of the house that no linter knows: header comments, tests that always run, no traces of a machine.
import { filesBelow, textOf } from './files';

const everything = filesBelow('');
const typescript = (folder: string): string[] => filesBelow(folder).filter((file) => file.endsWith('.ts'));

/** `file:line: text` of every line that matches. */
function linesMatching(file: string, pattern: RegExp): string[] {
  const hits: string[] = [];
  textOf(file)
    .split('\n')
    .forEach((line, index) => {
      if (pattern.test(line)) hits.push(`${file}:${index + 1}: ${line.trim().slice(0, 120)}`);
    });
  return hits;
}

describe('sources', () => {
  it('of lib begin with a header comment that names the file', () => {
    const files = typescript('lib');
    expect(files).not.toEqual([]);
    const without = files.filter((file) => !textOf(file).startsWith(`// ${file.slice(file.lastIndexOf('/') + 1)}: `));
    expect(without).toEqual([]);
  });

  it('have names in kebab-case', () => {
    const files = ['lib', 'recipes', 'demo', 'test'].flatMap(typescript);
    expect(files.filter((file) => !/^[a-z0-9/.-]+$/.test(file))).toEqual([]);
  });

  it('end with a newline and have no carriage returns', () => {
    const files = ['lib', 'recipes', 'demo', 'test', 'scripts']
      .flatMap(filesBelow)
      .filter((file) => /\.[cm]?[jt]s$/.test(file));
    expect(files.filter((file) => !textOf(file).endsWith('\n') || textOf(file).includes('\r'))).toEqual([]);
  });
});

describe('tests', () => {
  // In pieces, so that this file does not match itself.
  const focus = new RegExp(['\\b(?:it|test|describe)\\.', '(?:only|skip|failing|todo)\\b'].join(''));
  const shorthand = new RegExp(['\\b(?:f', 'describe|f', 'it|x', 'describe|x', 'it|x', 'test)\\('].join(''));
  const retries = new RegExp(['retry', 'Times'].join(''));

  it.each([
    ['are neither focused nor left out', focus],
    ['are neither focused nor left out by a short name', shorthand],
    ['are not tried again until they pass', retries],
  ])('%s', (_name, pattern) => {
    expect(typescript('test').flatMap((file) => linesMatching(file, pattern))).toEqual([]);
  });

  it('would be noticed when focused or left out', () => {
    expect(focus.test(['it', 'only("x")'].join('.'))).toBe(true);
    expect(focus.test(['describe', 'skip.each()'].join('.'))).toBe(true);
    expect(shorthand.test(['x', 'it("x")'].join(''))).toBe(true);
  });
});

describe('the repository', () => {
  // Home and work folders of a particular machine, in pieces for the same reason.
  const machine = new RegExp(
    `(?<![\\w.~/-])(?:${['/wo' + 'rk/', '/ro' + 'ot/', '/ho' + 'me/', '/Us' + 'ers/'].join('|')})|C:\\\\Users`,
  );

  it('names no absolute path of a machine', () => {
    const files = everything.filter((file) => !/\.(?:png|gif|ico|bin|tgz)$/.test(file));
    expect(files.flatMap((file) => linesMatching(file, machine))).toEqual([]);
  });

  it('pins no download address in its lock file', () => {
    expect(linesMatching('package-lock.json', /"resolved": *"https?:/)).toEqual([]);
  });

  it('has a lock file that is complete for other platforms (npm run lock)', () => {
    const packages = JSON.parse(textOf('package-lock.json')).packages as Record<
      string,
      { optionalDependencies?: object }
    >;
    const places = Object.keys(packages);
    const named = Object.values(packages).flatMap(({ optionalDependencies }) =>
      Object.keys(optionalDependencies ?? {}),
    );
    expect(named).not.toEqual([]);
    expect(named.filter((name) => !places.some((place) => place.endsWith(`node_modules/${name}`)))).toEqual([]);
  });

  it('pins the exact version of every development dependency', () => {
    const { devDependencies } = JSON.parse(textOf('package.json'));
    const loose = Object.entries<string>(devDependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });
});
