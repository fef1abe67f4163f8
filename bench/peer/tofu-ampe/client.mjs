import { connectWith } from '../shared/client.mjs';
export const connect = (ctx) => connectWith('native', ctx);
