import type { Manifest } from '../src/demo/wire.ts';
import type { DeviceReply, DeviceRequest, Encoded, Sight } from './device-worker.ts';
import { Problem } from './problem.ts';

/** The device's half, in a thread. One picture at a time: ask again when the last one is done. */
export interface Device {
  /** Throws a `Problem`. An `ImageBitmap` is handed over. */
  encode(sight: Sight): Promise<Encoded>;
}

/** Starts the thread and loads its models. Throws a `Problem`. */
export async function openDeviceThread(
  manifest: Manifest,
  onLoad: (done: number, all: number) => void,
): Promise<Device> {
  const worker = new Worker('/device-worker.js', { type: 'module' });
  const ask = (request: DeviceRequest, transfer: Transferable[] = []) =>
    new Promise<DeviceReply>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<DeviceReply>) => {
        if ('loading' in data) onLoad(...data.loading);
        else if ('failure' in data) reject(new Problem(data.failure.code, data.failure.message));
        else resolve(data);
      };
      worker.onerror = ({ message }) =>
        reject(new Problem('INTERNAL', `the half in this page stopped: ${message}; load the page again`));
      worker.postMessage(request, transfer);
    });
  await ask({ open: manifest });
  return {
    async encode(sight) {
      const reply = await ask({ encode: sight }, sight instanceof ImageBitmap ? [sight] : []);
      if ('encoded' in reply) return reply.encoded;
      throw new Problem('INTERNAL', 'the half in this page answered out of turn; load the page again');
    },
  };
}
