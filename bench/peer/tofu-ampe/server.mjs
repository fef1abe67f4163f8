import { serveWith } from '../shared/server.mjs';
export const serve = (ctx) => serveWith('native', ctx);
export { stats } from '../shared/engine.mjs';
