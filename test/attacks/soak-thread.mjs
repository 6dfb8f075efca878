import { register } from 'tsx/esm/api';

// A thread of Node 20 does not inherit what tsx set up for the main one.
register();
await import('./soak-worker.ts');
