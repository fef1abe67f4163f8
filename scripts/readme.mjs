#!/usr/bin/env node
// readme.mjs: fills the code of the README (or another Markdown file) from the recipes, which run as tests.
//
// A line `<!-- snippet: recipes/echo-server.ts#serve -->` is followed by a fenced block, or by nothing yet. The block becomes
// what stands between `// #region serve` and `// #endregion` in that file, without the common indentation; regions of
// one name are joined in their order, nested markers are left out. Without `#…` it becomes the whole file.
//
// Usage: node scripts/readme.mjs [--check] [--list] [FILE]
//   --check  changes nothing; exit code 1 and a message when a block is not what its source says
//   --list   prints the snippets as JSON: [{ source, language, code }]
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const marker = /^<!-- snippet: (\S+) -->\n(?:```[^\n]*\n(?:(?!```)[^\n]*\n)*```(?:\n|$))?/gm;
const languages = { '.ts': 'ts', '.mts': 'ts', '.mjs': 'js', '.js': 'js', '.cjs': 'js', '.json': 'json', '.sh': 'sh' };

/** The lines of a source, or of all its regions with this name. */
function linesOf(file, region) {
  const lines = readFileSync(path.join(root, file), 'utf8').trimEnd().split('\n');
  const found = [];
  const open = [];
  for (const line of lines) {
    const begin = /^\s*\/\/ #region (\S+)\s*$/.exec(line);
    const isEnd = /^\s*\/\/ #endregion\b/.test(line);
    if (begin !== null) open.push({ name: begin[1], lines: [] });
    else if (!isEnd) {
      if (region === undefined) found.push(line);
      for (const each of open) if (each.name === region) each.lines.push(line);
    } else {
      const closed = open.pop();
      if (closed === undefined) throw new Error(`${file}: #endregion without #region`);
      if (closed.name === region) found.push(...dedent(closed.lines));
    }
  }
  if (open.length > 0) throw new Error(`${file}: #region ${open[0].name} has no end`);
  if (found.length === 0) throw new Error(`${file} has no region ${region}`);
  return found;
}

function dedent(lines) {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)[0].length);
  const common = Math.min(...indents);
  return lines.map((line) => line.slice(common));
}

function snippet(source) {
  const [file, region] = source.split('#');
  if (path.isAbsolute(file) || file.split('/').includes('..')) throw new Error(`${source} is outside the project`);
  const code = linesOf(file, region)
    .join('\n')
    .replace(/^\n+|\s+$/g, '');
  if (code.includes('```')) throw new Error(`${source} contains the fence of a code block`);
  return { source, language: languages[path.extname(file)] ?? '', code };
}

function main(args) {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const unknown = flags.find((flag) => flag !== '--check' && flag !== '--list');
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}`);
  const file = path.resolve(args.find((arg) => !arg.startsWith('--')) ?? path.join(root, 'README.md'));
  const text = readFileSync(file, 'utf8').replaceAll('\r\n', '\n');
  const snippets = [];
  const stale = [];
  const filled = text.replace(marker, (block, source) => {
    const { language, code } = snippet(source);
    const fresh = `<!-- snippet: ${source} -->\n\`\`\`${language}\n${code}\n\`\`\`\n`;
    snippets.push({ source, language, code });
    if (block !== fresh && block !== fresh.trimEnd()) stale.push(source);
    return block.endsWith('\n') ? fresh : fresh.trimEnd();
  });
  // A marker the pattern does not reach would never be filled and never be stale.
  const markers = text.match(/<!--\s*snippet/g) ?? [];
  if (markers.length !== snippets.length)
    throw new Error(`${markers.length - snippets.length} snippet markers are malformed`);
  if (flags.includes('--list')) {
    process.stdout.write(`${JSON.stringify(snippets, null, 2)}\n`);
  } else if (flags.includes('--check')) {
    for (const source of stale) process.stderr.write(`stale: ${source} (npm run docs:readme fills it)\n`);
    process.exitCode = stale.length > 0 ? 1 : 0;
  } else if (filled !== text) {
    writeFileSync(file, filled);
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
