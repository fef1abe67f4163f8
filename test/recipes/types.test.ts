// types.test.ts: the recipes compile in programs that are stricter about types than this package is: what people copy must not
// be what their compiler refuses.

import { resolve } from 'node:path';
import ts from 'typescript';

const root = resolve(__dirname, '../..');

test('the recipes compile with noUncheckedIndexedAccess', () => {
  const settings = ts.readConfigFile(resolve(root, 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const config = { ...(settings.config as object), include: ['recipes'] };
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  expect(fileNames.length).toBeGreaterThan(10);
  const program = ts.createProgram(fileNames, { ...options, noUncheckedIndexedAccess: true });
  // Of the recipes only: the program also holds the sources of the package, which a user's holds as declarations.
  const found = fileNames.flatMap((file) => [...program.getSemanticDiagnostics(program.getSourceFile(file))]);
  expect(
    ts.formatDiagnostics(found, {
      getCanonicalFileName: String,
      getCurrentDirectory: () => root,
      getNewLine: () => '\n',
    }),
  ).toBe('');
}, 60_000);
