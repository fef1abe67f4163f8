import { serveWith } from '../shared/server.mjs';
export const serve = (ctx) => serveWith('native', ctx);
