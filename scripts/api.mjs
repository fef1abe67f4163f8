#!/usr/bin/env node
// api.mjs: compares the public types with their snapshot in etc/, so that no change of them goes unannounced.
// Reads the declarations in dist/ (the npm scripts build first); the report itself is written by api-extractor.
// Invariant: without --update no file of the repository is written.
// Usage: node scripts/api.mjs [--update]
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const configFile = path.join(root, 'etc', 'api-extractor.json');
const mainDeclarations = 'dist/lib/index.d.ts';
const entryPoints = [
  { report: 'tofu-ampe', declarations: mainDeclarations },
  { report: 'testing', declarations: 'dist/lib/testing.d.ts' },
  { report: 'recipes', declarations: 'dist/recipes/index.d.ts' },
];
const update = process.argv.includes('--update');

function configOf(entryPoint, scratch) {
  const configObject = ExtractorConfig.loadFile(configFile);
  configObject.mainEntryPointFilePath = path.join(root, entryPoint.declarations);
  configObject.apiReport = {
    ...configObject.apiReport,
    reportFileName: `${entryPoint.report}.api.md`,
    reportFolder: scratch,
    reportTempFolder: scratch,
  };
  return ExtractorConfig.prepare({
    configObject,
    configObjectFullPath: configFile,
    packageJsonFullPath: path.join(root, 'package.json'),
  });
}

/** One program of the compiler serves all entry points: building it is most of the time this script takes. */
function compile(scratch) {
  return CompilerState.create(configOf(entryPoints[0], scratch), {
    additionalEntryPoints: entryPoints.slice(1).map((each) => path.join(root, each.declarations)),
  });
}

/** The report of one entry point as text, or null after messages that say why there is none. */
function reportOf(entryPoint, compilerState, scratch) {
  const complaints = [];
  const result = Extractor.invoke(configOf(entryPoint, scratch), {
    compilerState,
    localBuild: true,
    messageCallback: (message) => {
      // The other entry points name types which the main one exports.
      const elsewhere = message.messageId === 'ae-forgotten-export' && entryPoint.declarations !== mainDeclarations;
      if (elsewhere) message.logLevel = 'none';
      if (message.logLevel === 'error' || message.logLevel === 'warning') {
        const place = message.sourceFilePath ? `${path.relative(root, message.sourceFilePath)}: ` : '';
        complaints.push(`${place}${message.text}`);
      }
      message.handled = true;
    },
  });
  const report = path.join(scratch, `${entryPoint.report}.api.md`);
  if (!result.succeeded || complaints.length > 0 || !existsSync(report)) {
    process.stderr.write(`${entryPoint.declarations}: no report could be made\n`);
    for (const complaint of complaints) process.stderr.write(`  ${complaint}\n`);
    return null;
  }
  return readFileSync(report, 'utf8').replaceAll('\r\n', '\n');
}

/** What is compared must be there before api-extractor looks for it. */
function missingDeclarations() {
  return entryPoints.map((each) => each.declarations).filter((file) => !existsSync(path.join(root, file)));
}

/** Lines that are only in one of the two texts, counted, in the order of the texts. */
function difference(before, after) {
  const only = (lines, others) => {
    const left = new Map();
    for (const line of others) left.set(line, (left.get(line) ?? 0) + 1);
    return lines.filter((line) => {
      const count = left.get(line) ?? 0;
      left.set(line, count - 1);
      return count <= 0;
    });
  };
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  return [...only(old, fresh).map((line) => `- ${line}`), ...only(fresh, old).map((line) => `+ ${line}`)];
}

function settle(entryPoint, compilerState, scratch) {
  const after = reportOf(entryPoint, compilerState, scratch);
  if (after === null) return false;
  const snapshot = `etc/${entryPoint.report}.api.md`;
  const file = path.join(root, snapshot);
  const before = existsSync(file) ? readFileSync(file, 'utf8').replaceAll('\r\n', '\n') : null;
  if (before === after) return true;
  if (update) {
    writeFileSync(file, after);
    process.stdout.write(`${snapshot} written\n`);
    return true;
  }
  if (before === null) {
    process.stderr.write(`${snapshot} is missing; "npm run api:update" writes it\n`);
    return false;
  }
  process.stderr.write(`The public types differ from ${snapshot}:\n`);
  const lines = difference(before, after);
  process.stderr.write(lines.length > 0 ? `${lines.join('\n')}\n` : 'the order of the lines has changed\n');
  process.stderr.write('Wanted? Then "npm run api:update", and say so in CHANGELOG.md.\n');
  return false;
}

function settleAll(scratch) {
  const missing = missingDeclarations();
  if (missing.length > 0) {
    process.stderr.write(`${missing.join(', ')}: not built\n`);
    return false;
  }
  const compilerState = compile(scratch);
  return entryPoints.map((each) => settle(each, compilerState, scratch)).every(Boolean);
}

const scratch = mkdtempSync(path.join(os.tmpdir(), 'ampe-api-'));
try {
  process.exitCode = settleAll(scratch) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
