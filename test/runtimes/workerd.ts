import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { Report, Way } from './golden.ts';
import { type OpenRuntime, type Runtime, unlessAborted } from './runtime.ts';

/** workerd compiles no WebAssembly from bytes. */
const WAYS: readonly Way[] = ['typescript', 'refused', 'module'];

/** One process; each way is a worker of its own, in an isolate of its own, behind a port of its own. */
const config = (): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [${WAYS.map((way) => `(name = "${way}", worker = .${way})`)}],
  sockets = [${WAYS.map((way) => `(name = "${way}", address = "127.0.0.1:0", http = (), service = "${way}")`)}],
);
${WAYS.map(
  (way) => `const ${way} :Workerd.Worker = (
  compatibilityDate = "2026-11-01",
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "golden.mjs", esModule = embed "golden.mjs"),
    (name = "kernels.wasm", wasm = embed "kernels.wasm"),
  ],
  bindings = [(name = "GOLDEN", json = embed "golden.json"), (name = "WAY", text = "${way}")],
);`,
).join('\n')}
`;

export const workerd: Runtime = {
  name: 'workerd',
  ways: WAYS,
  install: 'npm ci',
  open: async (folder, signal) => {
    let program: string;
    let version: string;
    try {
      program = createRequire(import.meta.url)('workerd').default;
      const { stdout } = await promisify(execFile)(program, ['--version'], { signal, killSignal: 'SIGKILL' });
      version = stdout.trim().replace(/^workerd /, '');
    } catch {
      signal.throwIfAborted();
      return null;
    }
    const file = join(folder, 'workerd.capnp');
    writeFileSync(file, config());
    // Pipe 3 tells the ports.
    const server = spawn(program, ['serve', '--control-fd=3', file], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
    try {
      return serving(version, server, await unlessAborted(portsOf(server), signal));
    } catch (error) {
      await stop(server);
      throw error;
    }
  },
};

const serving = (version: string, server: ChildProcess, ports: ReadonlyMap<string, number>): OpenRuntime => ({
  version,
  report: async (way, signal): Promise<Report> => {
    const response = await fetch(`http://127.0.0.1:${ports.get(way)}/`, { signal });
    if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
    return (await response.json()) as Report;
  },
  close: () => stop(server),
});

/** The port of each way, once all listen; throws what workerd says where it ends before. */
async function portsOf(server: ChildProcess): Promise<ReadonlyMap<string, number>> {
  let said = '';
  (server.stderr as Readable).on('data', (text) => {
    said += text;
  });
  const ports = new Map<string, number>();
  for await (const line of createInterface(server.stdio[3] as Readable)) {
    const { event, socket, port } = JSON.parse(line);
    if (event === 'listen') ports.set(socket, port);
    if (ports.size === WAYS.length) return ports;
  }
  throw new Error(`workerd did not listen: ${said}`);
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const closed = once(server, 'close');
  server.kill('SIGKILL');
  await closed;
}
