export { connect, stats } from '../tofu-ampe/client.mjs';
