// files.ts: which files of the repository there are, for the tests that keep it tidy.
// Walks folders instead of asking git, so that the tests also run in a copy without history; what .gitignore names is left out.
import fs from 'node:fs';
import path from 'node:path';

export const root = path.resolve(__dirname, '..', '..');

const anywhere = new Set(['.git']);
const fromRoot = new Set<string>();
for (const line of fs.readFileSync(path.join(root, '.gitignore'), 'utf8').split('\n')) {
  const name = line.trim().replace(/\/$/, '');
  if (name.startsWith('/')) fromRoot.add(name.slice(1));
  else if (name !== '' && !name.startsWith('#')) anywhere.add(name);
}

/** A pattern that ends with an asterisk and a slash means folders, as for git. */
function isIgnored(relative: string, name: string, isFolder: boolean): boolean {
  if (anywhere.has(name) || fromRoot.has(relative)) return true;
  if (isFolder && fromRoot.has(`${path.posix.dirname(relative)}/*`)) return true;
  return [...anywhere].some((pattern) => pattern.startsWith('*') && name.endsWith(pattern.slice(1)));
}

/** Paths relative to the root, with slashes, below `folder` ('' is everything). */
export function filesBelow(folder: string): string[] {
  const found: string[] = [];
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const relative = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (isIgnored(relative, entry.name, entry.isDirectory())) continue;
    if (entry.isDirectory()) found.push(...filesBelow(relative));
    else if (entry.isFile()) found.push(relative);
  }
  return found.sort();
}

export function textOf(file: string): string {
  return fs.readFileSync(path.join(root, file), 'utf8');
}
