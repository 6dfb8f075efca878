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
    );
    const lengths = new Map([...'bhqdkijmn'].map((letter) => [letter, d.int(1, 3)]));
    const shapes = equation.split('->')[0].split(',');
    return {
      inputs: shapes.map((term) => d.real([...term].map((letter) => lengths.get(letter) as number))),
      attributes: { equation },
    };
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

export const LINEAR: readonly Case[] = [matrices, gemm, einsum];
