// as-windows.cjs: preloaded into a program, makes Linux look like Windows to the package: another platform, and sockets without
// descriptors. What only Windows itself can show (its sockets, its paths, its loader) is not shown.
'use strict';
Object.defineProperty(process, 'platform', { value: 'win32' });
process.env.TOFU_AMPE_DIRECT_WRITE = '0';
