// costs.test.ts: what is read from the tools that count system calls.

import { evaluate } from './evaluate';

const read = (name: string, text: string): number =>
  evaluate<number>(['lib/costs/system-calls.mjs'], `return ${name}(input)`, text);

test('the calls of a summary of strace are added up, errors and the total left out', () => {
  const text = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           1       300           read
 40.00    0.000200           2       100         7 futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           1       400         7 total
`;
  expect(read('readStrace', text)).toBe(400);
});

test('the count of perf is the first field of its line', () => {
  const text = '# started on Wed Jan  2\n\n12345,,raw_syscalls:sys_enter,99,100.00,,\n';
  expect(read('readPerf', text)).toBe(12_345);
});
