// usage.mjs: what a process used over a part of its life: CPU of all its threads, context switches, and, when details are
// wanted, what JavaScript allocated and what the engine counted. Knows no workload.
// Invariant: begin() and end() do the same to every peer; details cost something at each collection, so they are extra.
import v8 from 'node:v8';

export class UsageMeter {
  #details;
  #engineStats;
  #cpu = process.cpuUsage();
  #resources = process.resourceUsage();
  #engine = null;
  #profiler = null;
  #heapAtStart = 0;

  /** `engineStats` returns the engine's counters by name, or null where there is no engine. */
  constructor({ details = false, engineStats = () => null } = {}) {
    this.#details = details;
    this.#engineStats = engineStats;
  }
  begin() {
    if (this.#details) {
      this.#engine = this.#engineStats();
      this.#profiler = new v8.GCProfiler();
      this.#profiler.start();
      this.#heapAtStart = v8.getHeapStatistics().used_heap_size;
    }
    this.#resources = process.resourceUsage();
    this.#cpu = process.cpuUsage();
  }
  end() {
    const cpu = process.cpuUsage(this.#cpu);
    const now = process.resourceUsage();
    const used = {
      cpuUserMs: cpu.user / 1000,
      cpuSystemMs: cpu.system / 1000,
      voluntarySwitches: now.voluntaryContextSwitches - this.#resources.voluntaryContextSwitches,
      involuntarySwitches: now.involuntaryContextSwitches - this.#resources.involuntaryContextSwitches,
    };
    if (this.#profiler === null) return used;
    const { statistics } = this.#profiler.stop();
    return {
      ...used,
      collections: statistics.length,
      collectionMs: statistics.reduce((sum, { cost }) => sum + cost, 0) / 1000,
      heapBytes: allocatedBytes(statistics, this.#heapAtStart, v8.getHeapStatistics().used_heap_size),
      ...(this.#engine === null ? {} : { engine: differences(this.#engine, this.#engineStats()) }),
    };
  }
}

/** What was allocated between collections: the heap before each of them less the heap after the one before it. */
export function allocatedBytes(collections, atStart, atEnd) {
  let total = 0;
  let after = atStart;
  for (const { beforeGC, afterGC } of collections) {
    total += Math.max(0, beforeGC.heapStatistics.usedHeapSize - after);
    after = afterGC.heapStatistics.usedHeapSize;
  }
  return total + Math.max(0, atEnd - after);
}

/** Counters are numbers or bigints; what else stats() tells is left out. New counters come along by themselves. */
export function flatCounters({ native = {}, ...own }) {
  const entries = [...Object.entries(own), ...Object.entries(native)];
  return Object.fromEntries(
    entries
      .filter(([, value]) => ['number', 'bigint'].includes(typeof value))
      .map(([name, value]) => [name, Number(value)]),
  );
}

const differences = (before, after) =>
  Object.fromEntries(Object.keys(before).map((name) => [name, after[name] - before[name]]));
