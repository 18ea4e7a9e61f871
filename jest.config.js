// One project per kind of suite; `make test` runs them in this order through scripts/testAll.ts.
const shared = {
  testEnvironment: 'node',
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  extensionsToTreatAsEsm: [],
  // Sources import './x.js' as Node's ES modules demand; the transform runs on the .ts beside it.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/build'],
};

/** @type {import('jest').Config} */
export default {
  // Longer than anything takes on a busy machine: what is slow is measured in bench/, not here.
  testTimeout: 120_000,
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['<rootDir>/test/unit/**/*.test.ts'] },
    { ...shared, displayName: 'kernel', testMatch: ['<rootDir>/test/kernel/**/*.test.ts'] },
    { ...shared, displayName: 'system', testMatch: ['<rootDir>/test/system/**/*.test.ts'] },
    { ...shared, displayName: 'interop', testMatch: ['<rootDir>/interop/*.test.ts'] },
    { ...shared, displayName: 'kube', testMatch: ['<rootDir>/interop/{kube,policy}/**/*.test.ts'] },
    { ...shared, displayName: 'vm', testMatch: ['<rootDir>/interop/vm/**/*.test.ts'] },
    { ...shared, displayName: 'fuzz', testMatch: ['<rootDir>/test/fuzz/**/*.test.ts'] },
  ],
};
