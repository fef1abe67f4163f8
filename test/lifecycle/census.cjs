// census.cjs: what a process has open: descriptors and threads, where the system tells; for tests that nothing is left.
// Runs in child processes. Invariant: what is counted is there to stay unless somebody ends it: two counts of a process at rest
// are equal. So a baseline must be taken at rest too: when every end that it has caused was heard of, not merely begun.
const fs = require('node:fs');

/** The bit of a thread that has begun to exit, in its flags as the kernel lists them. */
const IS_EXITING = 0x4;

/** A thread that was joined stays listed until the kernel has done with it. */
function isRunning(thread) {
  let stat;
  try {
    stat = fs.readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return false;
    throw error;
  }
  // The second field is a name in parentheses, which may hold anything; flags is the ninth.
  const flags = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6]);
  return (flags & IS_EXITING) === 0;
}

const entries = (folder) => (fs.existsSync(folder) ? fs.readdirSync(folder) : []);
module.exports = () => ({
  descriptors: entries('/proc/self/fd').length,
  threads: entries('/proc/self/task').filter(isRunning).length,
});
