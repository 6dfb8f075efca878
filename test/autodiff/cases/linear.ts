import type { Sample } from '../applied.ts';
import type { Case } from './draw.ts';

const einsum: Case = {
  op: 'Einsum',
  draw: (d) => {
    const equation = d.pick(
      'ij,jk->ik',
      'bhqd,bhkd->bhqk',
      'bqd,bkd',
      'bij,j->bi',
      'ij->ji',
      'ij->i',
      'ijk->j',
      'i,j->ij',
      'bn,bmn,m->b',
      'ij,ij->',
      'ii->i',
      'iji,j->i',
      'iij',
    );
    const lengths = new Map([...'bhqdkijmn'].map((letter) => [letter, d.int(1, 3)]));
    const shapes = equation.split('->')[0].split(',');
    return {
      inputs: shapes.map((term) => d.real([...term].map((letter) => lengths.get(letter) as number))),
      attributes: { equation },
    };
  },
};

/** Batches that broadcast. */
const ellipsis: Case = {
  op: 'Einsum',
  draw: (d) => {
    const batch = d.shape(0, 2);
    const [i, j, k] = [d.int(1, 3), d.int(1, 3), d.int(1, 3)];
    // Of one rank: where the ellipses of two inputs are of different ones, ONNX Runtime 1.30 crashes.
    const narrow = batch.map((length) => d.pick(length, 1));
    const [a, b] = d.pick([batch, batch], [batch, narrow], [narrow, batch]);
    return d.pick<Sample>(
      { inputs: [d.real([...a, i, j]), d.real([...b, j, k])], attributes: { equation: '...ij,...jk->...ik' } },
      { inputs: [d.real([i, ...a, j]), d.real([...b, j])], attributes: { equation: 'i...j,...j->...i' } },
      { inputs: [d.real([...a, i]), d.real([...b, i])], attributes: { equation: '...i,...i' } },
      { inputs: [d.real([...a, i, j])], attributes: { equation: '...ij->...j' } },
    );
  },
};

const matrices: Case = {
  op: 'MatMul',
  draw: (d) => {
    const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
    const batch = d.shape(0, 2);
    const shapes = d.pick<[number[], number[]]>(
      [
        [m, k],
        [k, n],
      ],
      [
        [...batch, m, k],
        [k, n],
      ],
      [
        [m, k],
        [...batch, k, n],
      ],
      [
        [...batch, m, k],
        [...d.narrowed(batch), k, n],
      ],
      [
        [...d.narrowed(batch), m, k],
        [...batch, k, n],
      ],
      [[k], [k]],
      [[k], [...batch, k, n]],
      [[...batch, m, k], [k]],
    );
    return { inputs: [d.real(shapes[0]), d.real(shapes[1])] };
  },
};

const gemm: Case = {
  op: 'Gemm',
  draw: (d) => {
    const [m, k, n] = [d.int(1, 4), d.int(1, 4), d.int(1, 4)];
    const [transA, transB] = [d.int(0, 1), d.int(0, 1)];
    const c = d.pick<number[] | undefined>(undefined, [n], [m, 1], [1, n], [m, n], []);
    return {
      inputs: [d.real(transA ? [k, m] : [m, k]), d.real(transB ? [n, k] : [k, n]), ...(c ? [d.real(c)] : [])],
      attributes: { transA, transB, alpha: d.pick(1, 0.7), beta: d.pick(1, -1.3) },
    };
  },
};

export const LINEAR: readonly Case[] = [matrices, gemm, einsum, ellipsis];
