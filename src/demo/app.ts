import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { messageOf } from '../errors.ts';
import { readWhole } from '../files.ts';
import type { Limits } from '../limits.ts';
import type { Answering, AnsweringRequest } from './answering.ts';
import { checkOrigin } from './guard.ts';
import { typeOf } from './page-files.ts';
import type { SuitePicture } from './pictures.ts';
import { Refusal, refusalOf } from './refusal.ts';
import type { Manifest } from './wire.ts';

export interface AppParts {
  readonly manifest: Manifest;
  /** Whatever is served as it is, by address. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly pictures: readonly SuitePicture[];
  readonly answering: Answering;
  /** Bytes of a packet at most. */
  readonly packetBytes: number;
  readonly limits: Readonly<Limits>;
  /** The names by which this machine may be called. */
  readonly names: ReadonlySet<string>;
  /** Is told what went wrong on our side. */
  readonly onFailure: (thrown: unknown) => void;
}

/** Bytes beside the packet in the body of a question: a question far too long is still read, and refused for what it is. */
const BESIDE_PACKET = 256 * 1024;

/** The demo's answers to HTTP requests. Whatever is not served is a {@link Refused} in JSON. */
export function demoApp(parts: AppParts): Hono {
  const { manifest, files, pictures, answering, limits } = parts;
  const app = new Hono();

  app.use(async (c, next) => {
    await next();
    c.header('cache-control', 'no-cache');
  });
  app.use(
    secureHeaders({
      // Isolated from other origins, the page gets the threads that ONNX Runtime wants.
      crossOriginOpenerPolicy: 'same-origin',
      crossOriginEmbedderPolicy: 'require-corp',
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'", "'wasm-unsafe-eval'"],
        workerSrc: ["'self'"],
        connectSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'blob:', 'data:'],
        formAction: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      permissionsPolicy: { camera: ['self'], microphone: [], geolocation: [] },
      strictTransportSecurity: false,
    }),
  );
  app.use(async (c, next) => {
    checkOrigin(c.req.raw.headers, parts.names);
    await next();
  });

  app.get('/api/manifest', (c) => c.json(manifest));
  app.get('/api/pictures/:place', async (c) => {
    const picture = pictures[Number(c.req.param('place'))];
    if (picture === undefined) throw notFound(c.req.path);
    const bytes = await readWhole(picture.path, limits, 'imageBytes', 'picture');
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, { 'content-type': typeOf(picture.path) });
  });
  const most = parts.packetBytes + BESIDE_PACKET;
  app.post(
    '/api/answer',
    bodyLimit({
      maxSize: most,
      onError: async (c) => {
        // Read and forgotten, because a client that is cut off while it writes does not read the answer.
        await c.req.raw.body?.pipeTo(new WritableStream()).catch(() => undefined);
        const why = `the request has more than the ${most} bytes that packet and question may have`;
        throw new Refusal(413, 'TOO_LARGE', why);
      },
    }),
    async (c) => c.json(await answering.answer(await readAsk(c.req.raw, parts), c.req.raw.signal)),
  );
  app.get('*', (c) => {
    const file = files.get(c.req.path);
    if (file === undefined) throw notFound(c.req.path);
    const type = typeOf(c.req.path === '/' ? 'index.html' : c.req.path);
    return c.body(file as Uint8Array<ArrayBuffer>, 200, { 'content-type': type });
  });

  app.notFound((c) => refuse(notFound(c.req.path)));
  app.onError((thrown) => {
    const refusal = refusalOf(thrown);
    if (refusal.status === 500) parts.onFailure(thrown);
    return refuse(refusal);
  });
  return app;
}

function refuse(refusal: Refusal): Response {
  const headers = new Headers();
  if (refusal.status === 503) headers.set('retry-after', '1');
  // The rest of a body that was not read would be taken for the next request.
  if (refusal.code === 'TOO_LARGE') headers.set('connection', 'close');
  return Response.json(refusal, { status: refusal.status, headers });
}

function notFound(path: string): Refusal {
  return new Refusal(404, 'NOT_FOUND', `there is nothing at ${path.slice(0, 200)}`);
}

/** The packet and the question of a request, checked before either waits for its turn. Throws refusals. */
async function readAsk(request: Request, { answering, packetBytes, limits }: AppParts): Promise<AnsweringRequest> {
  const form = await request.formData().catch((thrown) => {
    throw invalid(`the body is no multipart form: ${messageOf(thrown)}`);
  });
  const [packet, question = null] = [form.get('packet'), form.get('question')];
  if (!(packet instanceof File)) throw invalid("the form has no file 'packet'");
  if (question instanceof File) throw invalid("'question' is a file and not a text");
  if (packet.size > packetBytes) {
    throw new Refusal(
      413,
      'LIMIT_EXCEEDED',
      `the packet has ${packet.size} bytes, and the codecs make at most ${packetBytes}`,
    );
  }
  const most = limits.questionCharacters;
  if (question !== null && question.length > most) {
    throw new Refusal(
      413,
      'LIMIT_EXCEEDED',
      `the question has ${question.length} characters, and ${most} are the most; shorten it`,
    );
  }
  if (answering.full)
    throw new Refusal(503, 'BUSY', 'many packets wait for an answer already; send this one again in a moment');
  const asked = question?.trim() ? question : null;
  return { packet: new Uint8Array(await packet.arrayBuffer()), question: asked };
}

function invalid(what: string): Refusal {
  return new Refusal(
    400,
    'REQUEST_INVALID',
    `${what}; send multipart/form-data with a file packet and a text question`,
  );
}
