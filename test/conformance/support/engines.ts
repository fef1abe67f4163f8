// The engines the conformance suite runs on, and the transports: what a cell of the table is made of.
// Imports nothing, because the reporter loads this file outside jest's module system.
// Invariant: an engine that is listed must be there; nothing is ever skipped because it is missing.

export type Transport = 'tcp' | 'uds';
export type CellKind = 'all' | 'tcp' | 'uds' | 'once' | 'mixed';

export interface EngineSpec {
  readonly name: string;
  readonly backend: 'native' | 'fallback';
  /** Around Reactor.create(): internal switches that select another inner path of the same engine; undefined: not set. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What backendReason has to match: proof that the inner path asked for is the one that runs. */
  readonly reason: RegExp;
}

const KNOWN_ENGINES: readonly EngineSpec[] = [
  { name: 'native', backend: 'native', environment: { TOFU_AMPE_POLLER: undefined }, reason: /, (?:epoll|kqueue)$/ },
  { name: 'native-poll', backend: 'native', environment: { TOFU_AMPE_POLLER: 'poll' }, reason: /, poll$/ },
  { name: 'fallback', backend: 'fallback', environment: { TOFU_AMPE_DIRECT_WRITE: undefined }, reason: /asked for/ },
  // The same engine without its direct-write shortcut: every frame goes through the stream of node:net.
  { name: 'fallback-stream', backend: 'fallback', environment: { TOFU_AMPE_DIRECT_WRITE: '0' }, reason: /asked for/ },
];

const DEFAULT_ENGINES = 'native,native-poll,fallback,fallback-stream';

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
  /** What the accepting side of a connection runs on: `engine` itself but in mixed cells, where `engine` connects. */
  readonly server: EngineSpec;
  readonly transport: Transport;
  /** 'fallback/tcp'; 'fallback/once' where the transport plays no part; 'native>fallback/tcp': the first connects. */
  readonly label: string;
}

/** Which of a row's engines run it: a rule about what only one kind of engine has names that kind. */
export type Only = EngineSpec['backend'];

/** Ordered pairs of engines of different kinds; where there is one kind only, of different engines, or one with itself. */
function pairsOf(engines: readonly EngineSpec[]): [EngineSpec, EngineSpec][] {
  const all = engines.flatMap((client) => engines.map((server): [EngineSpec, EngineSpec] => [client, server]));
  const unlike = all.filter(([client, server]) => client.backend !== server.backend);
  const others = unlike.length > 0 ? unlike : all.filter(([client, server]) => client !== server);
  return others.length > 0 ? others : all;
}

/** The cells on which a rule of this kind has to run. */
export function cellsOf(kind: CellKind, engines: readonly EngineSpec[] = requiredEngines(), only?: Only): CellName[] {
  const both: readonly Transport[] = ['tcp', 'uds'];
  if (kind === 'mixed') {
    return pairsOf(engines).flatMap(([engine, server]) =>
      both.map((transport) => ({ engine, server, transport, label: `${engine.name}>${server.name}/${transport}` })),
    );
  }
  const transports: readonly Transport[] = kind === 'all' ? both : kind === 'once' ? ['tcp'] : [kind];
  const chosen = engines.filter((engine) => only === undefined || engine.backend === only);
  return chosen.flatMap((engine) =>
    transports.map((transport) => ({
      engine,
      server: engine,
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
