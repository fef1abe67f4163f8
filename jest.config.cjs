// jest.config.cjs: tests run on the sources, transformed by swc without a type check (npm run typecheck does that).
// The package's own names lead to the sources; child processes started by tests see dist/ by self-reference instead.
const os = require('node:os');

/** @type {import('jest').Config} */
module.exports = {
  reporters: ['default', '<rootDir>/test/conformance/support/reporter.cjs', '<rootDir>/scripts/count-reporter.cjs'],
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript', explicitResourceManagement: true } },
        module: { type: 'commonjs' },
      },
    ],
  },
  moduleNameMapper: {
    '^tofu-ampe$': '<rootDir>/lib/index.ts',
    '^tofu-ampe/testing$': '<rootDir>/lib/testing.ts',
    '^tofu-ampe/recipes$': '<rootDir>/recipes/index.ts',
  },
  // Built output holds a copy of nothing jest should see.
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  // Many tests wait for sockets and child processes rather than compute: one worker per core pays even on two cores.
  maxWorkers: Math.max(2, Math.floor(os.availableParallelism() / 2)),
};
