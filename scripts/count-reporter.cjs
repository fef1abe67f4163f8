// count-reporter.cjs: a jest reporter that writes how many tests passed and failed into the file that TOFU_AMPE_COUNTS names.
// Instead of jest's --json, which gives up when a test failed with an error that refers to itself, as those of child processes do.
'use strict';

const fs = require('node:fs');

module.exports = class CountReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    const file = process.env.TOFU_AMPE_COUNTS;
    if (!file) return;
    const counts = { passed: numPassedTests, failed: numFailedTests + numRuntimeErrorTestSuites };
    // In one step, since somebody waits for the file to be there.
    fs.writeFileSync(`${file}.next`, JSON.stringify(counts));
    fs.renameSync(`${file}.next`, file);
  }
};
