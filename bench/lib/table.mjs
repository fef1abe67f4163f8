// table.mjs: figures as text for a terminal and as Markdown. Pure.

export const number = (value, digits = 0) =>
  value === undefined || !Number.isFinite(value)
    ? '-'
    : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** With two or three digits that matter: 4.07 M, 593 k, 31.2. */
export function short(value) {
  if (value === undefined || !Number.isFinite(value)) return '-';
  const size = Math.abs(value);
  if (size >= 999_500) return `${withDigits(value / 1e6)} M`;
  if (size >= 9_995) return `${withDigits(value / 1e3)} k`;
  if (size >= 1_000) return number(value);
  return withDigits(value);
}
function withDigits(value) {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

/** `median [min – max]` of a spread; the median alone when there was one run. */
export function ranged(values, format = short) {
  if (values === undefined) return '-';
  const middle = format(values.median);
  return values.count > 1 ? `${middle} [${format(values.min)} – ${format(values.max)}]` : middle;
}

export const ratio = (values) => ranged(values, (value) => number(value, 2));

/** Columns side by side; the first `left` are flush left. */
export function textTable(head, rows, left = 1) {
  const lines = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const pad = (cell, column) => (column < left ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

export function markdownTable(head, rows, left = 1) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column < left ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
