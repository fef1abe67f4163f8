import { connectWith } from '../shared/client.mjs';
export const connect = (ctx) => connectWith('fallback', ctx);
export { stats } from '../shared/engine.mjs';
