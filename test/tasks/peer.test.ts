import { expect, it, vi } from 'vitest';
import { decodePixels } from '../../src/tasks/index.ts';

vi.mock('sharp', () => {
  throw Object.assign(new Error("Cannot find package 'sharp'"), { code: 'ERR_MODULE_NOT_FOUND' });
});

it('without sharp, files ask for it and pixels of the right size pass', async () => {
  const size = { width: 2, height: 1 };
  await expect(decodePixels(Uint8Array.of(1, 2, 3), size)).rejects.toMatchObject({
    code: 'PEER_MISSING',
    message: expect.stringContaining('npm i sharp'),
  });
  const data = Uint8Array.of(1, 2, 3, 4, 5, 6);
  expect((await decodePixels({ ...size, data }, size)).data).toEqual(data);
});
