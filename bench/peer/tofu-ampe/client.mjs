import { connectWith } from '../shared/client.mjs';
export const connect = (ctx) => connectWith('native', ctx);
export { stats } from '../shared/engine.mjs';
