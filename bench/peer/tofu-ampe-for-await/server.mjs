import { serveWith } from '../shared/server.mjs';
import { receiveByLoop } from '../shared/engine.mjs';
export const serve = (ctx) => serveWith('native', ctx, receiveByLoop);
export { stats } from '../shared/engine.mjs';
