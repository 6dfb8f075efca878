export type { NamedCodec } from './parts.ts';
export { type Demo, type DemoOptions, serveDemo } from './serve.ts';
