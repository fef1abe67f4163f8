export * from '../tofu-ampe/server.mjs';
