import { serveWith } from '../shared/server.mjs';
export const serve = (ctx) => serveWith('fallback', ctx);
export { stats } from '../shared/engine.mjs';
