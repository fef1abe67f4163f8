// mutants-native.mjs: the part of mutants.mjs that deals with faults of the core: builds the test programs in the scratch copy and
// runs the tests that have to notice. Faults do not meet: each is built on top of a build without any, which compiles one file.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isCommand, missingTools } from './ensure-native.mjs';

const BASELINE_TIMEOUT_MS = 600_000;

export const isNative = ({ file }) => file.startsWith('native/');
/** What CMake calls test/native/<suite>.cc. */
const targetOf = ({ suite }) => suite.replace('/', '-');

export class NativeMutants {
  /** The program that runs now: it must not outlive this process. */
  running;
  #copy;
  #build;

  /** Copies what is built, beside the tests, which are there already. */
  constructor(root, copy) {
    const complaints = missingTools({ tests: true });
    if (complaints.length > 0) throw new Error(complaints.join('\n'));
    this.#copy = copy;
    this.#build = path.join(copy, 'build', 'mutants');
    for (const name of ['CMakeLists.txt', 'native']) {
      cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
    }
  }

  /** The tests of these faults must be there and pass without any. */
  async checkBaseline(faults) {
    const generator = isCommand('ninja') ? ['-G', 'Ninja'] : [];
    const configured = this.#cmake('-S', this.#copy, '-B', this.#build, ...generator, '-DTOFU_TESTS=ON');
    if (configured !== null) throw new Error(configured);
    const failure = this.#compile([...new Set(faults.map(targetOf))]);
    if (failure !== null) throw new Error(`without any fault: ${failure}`);
    const seen = new Set();
    for (const fault of faults) {
      const key = `${fault.suite}: ${fault.rule}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { failed, killed, count } = await this.#run(fault, BASELINE_TIMEOUT_MS);
      if (failed || killed) throw new Error(`${key} ${killed ? 'took too long' : 'failed'} without any fault`);
      if (count === 0) throw new Error(`no test ran for ${key}`);
    }
  }

  /** What becomes of a fault that stands in the copy: as tryFault() in mutants.mjs. */
  async tryPlanted(fault, timeoutMs) {
    const failure = this.#compile([targetOf(fault)]);
    if (failure !== null) return { caught: false, by: `DOES NOT COMPILE: ${failure}` };
    const { failed, killed, count, first } = await this.#run(fault, timeoutMs);
    if (killed) return { caught: false, by: `KILLED after ${timeoutMs} ms without a verdict` };
    return failed ? { caught: true, by: first } : { caught: false, by: `SURVIVED ${count} tests` };
  }

  /** Null, or what went wrong. */
  #cmake(...args) {
    const { status, stdout, stderr, error } = spawnSync('cmake', args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
    return status === 0 ? null : `cmake ${args.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`;
  }
  #compile(targets) {
    return this.#cmake('--build', this.#build, '--parallel', String(os.availableParallelism()), '--target', ...targets);
  }

  /** Ends with the first failure: one is enough, and a test may go on waiting in vain. */
  #run(fault, timeoutMs) {
    const program = path.join(this.#build, 'test', 'native', targetOf(fault));
    const args = [`--gtest_filter=*${fault.rule}*`, '--gtest_fail_fast', '--gtest_brief=0'];
    return new Promise((resolve, reject) => {
      const child = spawn(program, args, { cwd: this.#copy, stdio: ['ignore', 'pipe', 'ignore'] });
      this.running = child;
      let output = '';
      let killed = false;
      const hasFailed = () => /: Failure$/m.test(output);
      child.stdout.on('data', (chunk) => {
        output += chunk;
        if (hasFailed()) child.kill('SIGKILL');
      });
      const deadline = setTimeout(() => {
        killed = true;
        child.kill('SIGKILL');
      }, timeoutMs);
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(deadline);
        const ran = [...output.matchAll(/^\[ RUN {6}\] (\S+)/gm)].map(([, name]) => name);
        // A crash is a failure as well: the assertions of the core are among what notices.
        const crashed = code !== 0 && !killed && !hasFailed();
        resolve({
          failed: hasFailed() || crashed,
          killed: killed && !hasFailed(),
          count: ran.length,
          first: `${ran.at(-1)}${crashed ? ' (crashed)' : ''}`,
        });
      });
    });
  }
}
