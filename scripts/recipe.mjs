#!/usr/bin/env node
// recipe.mjs: runs one of the recipes by its name, or lists them.
// Knows nothing of what a recipe does; the built files are taken as they are (npm run recipe builds first).
// Usage: npm run recipe -- NAME [arguments of the recipe]
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'recipes');
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.js') && file !== 'index.js')
  .map((file) => file.slice(0, -'.js'.length));
const [name, ...rest] = process.argv.slice(2);

if (name !== undefined && names.includes(name)) {
  const ended = spawnSync(process.execPath, [path.join(folder, `${name}.js`), ...rest], { stdio: 'inherit' });
  process.exitCode = ended.status ?? 1;
} else {
  if (name !== undefined) process.stderr.write(`There is no recipe ${name}.\n`);
  process.stderr.write(`Usage: npm run recipe -- NAME\nRecipes:\n${names.map((each) => `  ${each}\n`).join('')}`);
  process.exitCode = name === undefined ? 0 : 2;
}
