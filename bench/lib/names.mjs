// names.mjs: what peers are called in figures, tables and pages. The yardstick is what ratios are to.
export const YARDSTICK = 'node:net';
export const NATIVE = 'native';
export const FALLBACK = 'fallback';
export const FOR_AWAIT = 'native (for await)';
export const SMALL_HEAP = 'native (small heap)';
