// sockets.mjs: what both sides of the zeromq.js peer need: the package from where it was installed, and an address.
import { createRequire } from 'node:module';
import path from 'node:path';

const MOST_SOCKETS = 8192;

export function packageOf({ packages }) {
  const zeromq = createRequire(path.join(packages, 'package.json'))('zeromq');
  zeromq.context.maxSockets = MOST_SOCKETS; // before the first socket is made
  return zeromq;
}
export const urlOf = ({ transport, addr }) => (transport === 'uds' ? `ipc://${addr}` : `tcp://${addr}`);
