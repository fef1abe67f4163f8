// rule(): registers one case of one rule of rules.ts as a jest test per cell.
// Invariant: a case can only be registered for a rule that exists, and runs on every cell the rule's row names.

import { RULES, type RuleId, type RuleRow } from '../rules';
import { Cell, createReactor } from './cell';
import { cellsOf, formatTitle, requiredEngines, type CellName, type EngineSpec } from './engines';

// A case has several waits; each has its own shorter deadline, whose text is better than jest's.
const CASE_TIMEOUT_MS = 30_000;

const rows: ReadonlyMap<string, RuleRow> = new Map(RULES.map((row) => [row.id, row]));
const present = new Set<string>();

async function requirePresent(spec: EngineSpec): Promise<void> {
  if (present.has(spec.name)) return;
  // Throws when the engine is required but missing: the run fails, nothing is skipped.
  const reactor = createReactor(spec, {});
  await reactor.destroy();
  expect(reactor.backend).toBe(spec.backend);
  expect(reactor.backendReason).toMatch(spec.reason);
  present.add(spec.name);
}

export type CaseBody = (cell: Cell) => Promise<void> | void;

/** Runs `body` on one cell and proves that nothing of it is left; also used outside jest, in a child process. */
export async function runOn(name: CellName, body: CaseBody): Promise<void> {
  await requirePresent(name.engine);
  await requirePresent(name.server);
  const cell = new Cell(name);
  try {
    await body(cell);
    await cell.finish();
  } catch (error) {
    await cell.abandon();
    throw error;
  }
}

export function rule(id: RuleId, title: string, body: CaseBody, options: { timeoutMs?: number } = {}): void {
  const row = rows.get(id);
  if (row === undefined) throw new Error(`rules.ts has no rule '${id}'`);
  for (const name of cellsOf(row.cells, requiredEngines(), row.only)) {
    test(formatTitle(id, title, name.label), () => runOn(name, body), options.timeoutMs ?? CASE_TIMEOUT_MS);
  }
}
