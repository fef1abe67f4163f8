#!/usr/bin/env node
// tofu-ampe.cjs: the command of the package. `doctor` says which engine runs here, why, and what to do for a better one.
// Exit code 0: an engine runs; 1: none does; 2: not understood.
// Usage: npx tofu-ampe doctor [--json]
'use strict';
const { parseArgs } = require('node:util');

const USAGE = 'usage: tofu-ampe doctor [--json]\n';

/** Whether JSON is wanted; null when it is not understood. */
function wantsJson() {
  try {
    const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });
    return positionals.length === 1 && positionals[0] === 'doctor' ? values.json === true : null;
  } catch {
    return null;
  }
}

async function main() {
  const json = wantsJson();
  if (json === null) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { examine, textOf } = require('../dist/lib/doctor.js');
  const findings = await examine();
  process.stdout.write(json ? `${JSON.stringify(findings, null, 2)}\n` : textOf(findings));
  return findings.engine === null ? 1 : 0;
}

main().then((code) => (process.exitCode = code));
