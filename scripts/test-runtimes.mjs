#!/usr/bin/env node
// test-runtimes.mjs: runs the package on every platform and runtime it promises, as far as Linux x64 can: from the tarball, with the
// binaries of prebuilds/ (npm run prebuild). Node runs the conformance suite as well; what cannot be run is read, and said to be.
// Writes what it saw into etc/support.jsonl and the README's table. The last line is `N passed, N failed`, one per run.
// Usage: node scripts/test-runtimes.mjs [--no-record] [ID]...   (all cells of scripts/runtime-cells.mjs without an ID)
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIdentity } from './build-identity.cjs';
import { complaintsAbout } from './check-prebuilds.mjs';
import { signatureComplaint } from './mac-signature.mjs';
import { targets } from './prebuild-targets.mjs';
import { npmCli, Unavailable } from './programs.mjs';
import { Room } from './room.mjs';
import { runJest } from './run-jest.mjs';
import { cells } from './runtime-cells.mjs';
import { fillReadme, merge, readRuns, writeRuns } from './support.mjs';
import { pack } from './tarball.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
/** A whole exchange takes a tenth of a second, under an emulator three. */
const EXCHANGE_MS = 60_000;

/** Installs the tarball, without scripts, where all cells use it. */
async function makeRoom() {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-tarball-'));
  const room = new Room('runtimes');
  try {
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', pack(scratch).file];
    const { code, stderr } = await room.run([process.execPath, npmCli(), ...args]);
    if (code !== 0) throw new Error(`npm install ended with ${code}:\n${stderr}`);
    for (const name of ['exchange.mjs', 'as-windows.cjs']) {
      room.write(name, readFileSync(path.join(root, 'test', 'package', name), 'utf8'));
    }
    return room;
  } catch (error) {
    room.remove();
    throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Runs the program of test/package and says what is wrong with what it printed, or null. */
async function exchange(room, command, engine, environment = {}) {
  const run = await room.run([...command, 'exchange.mjs'], { environment, timeoutMs: EXCHANGE_MS });
  if (run.code !== 0) return `ended with ${run.code}: ${run.stderr.trim()}`;
  const { backend, backendReason, exchanged } = JSON.parse(run.stdout);
  if (backend !== engine) return `ran on the ${backend} engine: ${backendReason}`;
  return exchanged.tcp > 0 && exchanged.uds !== 0 ? null : run.stdout;
}

function binaryOf(cell) {
  return path.join(root, 'prebuilds', targets.find(({ name }) => name === cell.target).file);
}

/** What each kind of cell does: resolves to runs, as { engine, how, outcome, complaint }. */
const kinds = {
  async exchange(cell, room) {
    const how = cell.emulated ? 'exchange, under qemu' : 'exchange';
    const run = async (engine) => {
      return { engine, how, complaint: await exchange(room, cell.command(), engine, { TOFU_AMPE_BACKEND: engine }) };
    };
    return [await run('native'), await run('fallback')];
  },

  async conformance(cell, room) {
    const [native, fallback] = await kinds.exchange(cell, room);
    if (native.complaint !== null) return [native, fallback];
    const environment = { TOFU_AMPE_ENGINES: 'native', TOFU_AMPE_PREBUILD: binaryOf(cell), TOFU_AMPE_BACKEND: '' };
    const [node] = cell.command();
    const { passed, failed } = await runJest({ jestArguments: ['test/conformance'], environment, node });
    const complaint = failed > 0 ? `${failed} tests of the conformance suite failed` : null;
    return [
      { engine: 'native', how: 'conformance suite and exchange', outcome: `${passed} tests`, complaint },
      fallback,
    ];
  },

  /** Its symbols were checked with those of all binaries. Only Macs with arm64 want a signature. */
  static(cell) {
    const signed = targets.find(({ name }) => name === cell.target).arch === 'arm64';
    const outcome = signed ? 'symbols and signature checked' : 'symbols checked';
    const complaint = signed ? signatureComplaint(readFileSync(binaryOf(cell))) : null;
    return [{ engine: 'native', how: 'cross-built, not run', outcome, complaint }];
  },

  async windows(cell, room) {
    const environment = {
      ...{ WINEPREFIX: path.join(room.folder, 'wine'), WINEDEBUG: '-all', PATH: process.env.PATH },
      NODE_SKIP_PLATFORM_CHECK: '1', // Wine poses as a Windows that Node does not support any more
    };
    const posed = [process.execPath, '--require', './as-windows.cjs'];
    const complaint =
      (await exchange(room, posed, 'fallback')) ?? (await exchange(room, cell.command(), 'fallback', environment));
    return [{ engine: 'fallback', how: 'exchange in Wine, not on Windows', complaint }];
  },
};

/** All runs of a cell, as lines of etc/support.jsonl and what went wrong; a binary that is not as it should be is not run. */
async function tryCell(cell, room) {
  const target = targets.find(({ name }) => name === cell.target);
  const wrong = target === undefined ? [] : complaintsAbout(target);
  if (wrong.length > 0) throw new Unavailable(wrong.join('\n'));
  const { version, sourcesHash } = buildIdentity(root);
  return (await kinds[cell.kind](cell, room)).map(({ complaint, engine, how, outcome = '' }) => ({
    complaint,
    line: {
      ...{ id: cell.id, platform: cell.platform, runtime: cell.runtime, version: cell.version, engine, how, outcome },
      ...{
        ok: complaint === null,
        date: new Date().toISOString().slice(0, 10),
        package: version,
        sources: sourcesHash,
      },
    },
  }));
}

async function main(args) {
  const record = !args.includes('--no-record');
  const ids = args.filter((arg) => arg !== '--no-record');
  const order = cells.map(({ id }) => id);
  const unknown = ids.find((id) => !order.includes(id));
  if (unknown !== undefined) throw new Error(`no cell ${unknown}; there are ${order.join(', ')}`);
  const total = { passed: 0, failed: 0 };
  const room = await makeRoom();
  try {
    for (const cell of cells.filter(({ id }) => ids.length === 0 || ids.includes(id))) {
      let seen;
      try {
        seen = await tryCell(cell, room);
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        process.stdout.write(`FAIL ${cell.id}: not tried: ${error.message}\n`);
        total.failed++;
        continue;
      }
      for (const { line, complaint } of seen) {
        total[complaint === null ? 'passed' : 'failed']++;
        const what = `${cell.id}, ${line.engine} engine: ${line.how}${line.outcome ? `, ${line.outcome}` : ''}`;
        process.stdout.write(
          `${complaint === null ? 'ok  ' : 'FAIL'} ${what}${complaint === null ? '' : `: ${complaint}`}\n`,
        );
      }
      if (record)
        writeRuns(
          merge(
            readRuns(),
            seen.map(({ line }) => line),
            order,
          ),
        );
    }
  } finally {
    room.remove();
  }
  if (record) fillReadme();
  return total;
}

let total = { passed: 0, failed: 1 };
try {
  total = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`test-runtimes: ${error.message}\n`);
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
