export * from '../tofu-ampe/client.mjs';
