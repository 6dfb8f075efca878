export type { OpenOptions, OpenSession, Session, TensorInfo } from './session.ts';
