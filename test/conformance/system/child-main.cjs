// Runs one scenario on one cell, outside jest: the suite's TypeScript is transformed as it is loaded.
// Usage: node child-main.cjs ENGINE CELL-KIND CELL-LABEL SCENARIO. Exit code 0: it passed and left nothing.
'use strict';

require('../support/load-typescript.cjs');
globalThis.expect = require('expect').expect;
const { scenarios } = require('./scenarios');
const { ShimSystem } = require('./shim');
const { runOn } = require('../support/rule');
const { cellsOf, requiredEngines } = require('../support/engines');

async function main([engine, kind, label, scenario]) {
  const name = cellsOf(kind, requiredEngines(engine)).find((cell) => cell.label === label);
  await runOn(name, (cell) => scenarios[scenario](cell, new ShimSystem(process.env.TOFU_SHIM_DIR)));
}

main(process.argv.slice(2)).then(
  // A name that is never answered must not keep the process.
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
