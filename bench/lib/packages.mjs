// packages.mjs: the packages other peers need, installed from npm in a folder of their own that git ignores. Exact versions, so that
// figures can be repeated; no install script is run. Knows npm, not what the packages are for.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { root } from './machine.mjs';

const WANTED = { ws: '8.23.0', zeromq: '6.8.0' };
const INSTALL_MS = 180_000;
const LOAD_MS = 10_000;

/** { folder, versions: those that load, missing: [{ name, reason }] } */
export function installPackages(folder = path.join(root, 'bench', 'out', 'peers'), wanted = WANTED) {
  const missing = [];
  const versions = {};
  let reason = null;
  if (Object.entries(wanted).some(([name, version]) => installedVersion(folder, name) !== version)) {
    reason = install(folder, wanted);
  }
  for (const name of Object.keys(wanted)) {
    const version = installedVersion(folder, name);
    const problem = version === null ? (reason ?? 'npm did not install it') : loadProblem(folder, name);
    if (problem === null) versions[name] = version;
    else missing.push({ name, reason: problem });
  }
  return { folder, versions, missing };
}

function installedVersion(folder, name) {
  try {
    return JSON.parse(fs.readFileSync(path.join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;
  } catch {
    return null;
  }
}

/** Why it failed, or null. */
function install(folder, wanted) {
  fs.mkdirSync(folder, { recursive: true });
  const manifest = { name: 'bench-peers', private: true, dependencies: wanted };
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest));
  console.log(`installing ${Object.keys(wanted).join(' and ')} into ${path.relative(root, folder)}`);
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  const options = { cwd: folder, encoding: 'utf8', timeout: INSTALL_MS, shell: process.platform === 'win32' };
  const { status, error, stderr } = spawnSync('npm', args, options);
  if (error !== undefined) return `npm: ${error.message}`;
  return status === 0 ? null : `npm install failed: ${stderr.trim().split('\n')[0]}`;
}

function loadProblem(folder, name) {
  const file = createRequire(path.join(folder, 'package.json')).resolve(name);
  const args = ['-e', 'require(process.argv[1]); process.exit(0)', file];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: LOAD_MS });
  return status === 0
    ? null
    : `it does not load: ${stderr.split('\n').find((line) => line.includes('Error')) ?? status}`;
}
