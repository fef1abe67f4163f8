// The engines the conformance suite runs on, and the transports: what a cell of the table is made of.
// Imports nothing, because the reporter loads this file outside jest's module system.
// Invariant: an engine that is listed must be there; nothing is ever skipped because it is missing.

export type Transport = 'tcp' | 'uds';
export type CellKind = 'all' | 'tcp' | 'uds' | 'once';

export interface EngineSpec {
  readonly name: string;
  readonly backend: 'native' | 'fallback';
  /** Set around Reactor.create(): internal switches that select another inner path of the same engine. */
  readonly environment: Readonly<Record<string, string>>;
}

const KNOWN_ENGINES: readonly EngineSpec[] = [
  { name: 'fallback', backend: 'fallback', environment: {} },
  // The same engine without its direct-write shortcut: every frame goes through the stream of node:net.
  { name: 'fallback-stream', backend: 'fallback', environment: { TOFU_AMPE_DIRECT_WRITE: '0' } },
  { name: 'native', backend: 'native', environment: {} },
];

const DEFAULT_ENGINES = 'fallback,fallback-stream';

/** The required engines: TOFU_AMPE_ENGINES (names with commas) or the default list. */
export function requiredEngines(list: string = process.env['TOFU_AMPE_ENGINES'] || DEFAULT_ENGINES): EngineSpec[] {
  return list.split(',').map((name) => {
    const spec = KNOWN_ENGINES.find((known) => known.name === name.trim());
    if (spec === undefined) throw new Error(`TOFU_AMPE_ENGINES names an unknown engine: '${name.trim()}'`);
    return spec;
  });
}

export interface CellName {
  readonly engine: EngineSpec;
  readonly transport: Transport;
  /** 'fallback/tcp'; 'fallback/once' for a rule in which the transport plays no part. */
  readonly label: string;
}

/** The cells on which a rule of this kind has to run. */
export function cellsOf(kind: CellKind, engines: readonly EngineSpec[] = requiredEngines()): CellName[] {
  const transports: readonly Transport[] = kind === 'all' ? ['tcp', 'uds'] : kind === 'once' ? ['tcp'] : [kind];
  return engines.flatMap((engine) =>
    transports.map((transport) => ({
      engine,
      transport,
      label: `${engine.name}/${kind === 'once' ? 'once' : transport}`,
    })),
  );
}

const SEPARATOR = ' · ';

/** Title of the jest test of one case on one cell; parseTitle() is its inverse, used by the reporter. */
export function formatTitle(ruleId: string, title: string, cellLabel: string): string {
  return [title, ruleId, cellLabel].join(SEPARATOR);
}

export function parseTitle(text: string): { ruleId: string; title: string; cell: string } | null {
  const parts = text.split(SEPARATOR);
  if (parts.length !== 3) return null;
  return { title: parts[0], ruleId: parts[1], cell: parts[2] };
}
