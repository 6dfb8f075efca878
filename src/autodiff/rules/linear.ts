import { floatAttribute, intAttribute } from '../../onnx/attributes.ts';
import type { Dim } from '../../onnx/dim.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';
import { Einsum } from './einsum.ts';

/** The matrices with rows and columns exchanged. */
export function transposed(g: Backward, x: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  [perm[rank - 2], perm[rank - 1]] = [rank - 1, rank - 2];
  return g.transpose(x, perm);
}

/** The gradient at a matrix, summed over the batch entries of the output that it was repeated for. */
export function unbroadcastBatch(
  g: Backward,
  gradient: string,
  batch: readonly Dim[] | undefined,
  matrix: string,
): string {
  const own = g.shape(matrix);
  return g.unbroadcast(gradient, batch && own && [...batch, ...own.slice(-2)], matrix);
}

/** Y = A B over batches that broadcast: dA = dY Bᵀ, dB = Aᵀ dY. */
const MatMul: Rule = (node, g, [dy]) => {
  const [a, b] = node.input;
  const rankA = g.rank(a);
  const rankB = g.rank(b);
  if (rankA === 1 || rankB === 1) return vectorProduct(node, g, dy as string);
  if (rankB === 2 && rankA > 2) return rowsByMatrix(g, a, b, dy as string);
  const batch = g.shape(node.output[0])?.slice(0, -2);
  const rank = Math.max(rankA, rankB);
  const da = g.emit('MatMul', [dy, transposed(g, b, rankB)]);
  const db = g.emit('MatMul', [transposed(g, a, rankA), dy]);
  if (rank === 2) return [da, db];
  return [unbroadcastBatch(g, da, batch, a), unbroadcastBatch(g, db, batch, b)];
};

/** One matrix for all rows of a batch: dB is one product over all rows, not a sum of one a batch entry. */
function rowsByMatrix(g: Backward, a: string, b: string, dy: string): string[] {
  const rows = (x: string) => g.emit('Flatten', [x], { axis: g.rank(a) - 1 });
  const da = g.emit('MatMul', [dy, transposed(g, b, 2)]);
  return [da, g.emit('Gemm', [rows(a), rows(dy)], { transA: 1 })];
}

/** A vector stands for a matrix of one row (first) or one column (second), and Y lacks that axis. */
function vectorProduct(node: NodeProto, g: Backward, dy: string): string[] {
  const [a, b] = node.input;
  const rankA = g.rank(a);
  const rankB = g.rank(b);
  const rowA = rankA === 1 ? g.unsqueeze(a, [0]) : a;
  const columnB = rankB === 1 ? g.unsqueeze(b, [1]) : b;
  let full = dy;
  if (rankB === 1) full = g.unsqueeze(full, [-1]);
  if (rankA === 1) full = g.unsqueeze(full, [-2]);
  const batch = rankA > rankB ? g.shape(a)?.slice(0, -2) : g.shape(b)?.slice(0, -2);
  const ofMatrix = (rows: Dim | undefined, columns: Dim | undefined) =>
    batch && rows !== undefined && columns !== undefined ? [...batch, rows, columns] : undefined;
  const da = g.emit('MatMul', [full, transposed(g, columnB, Math.max(rankB, 2))]);
  const db = g.emit('MatMul', [transposed(g, rowA, Math.max(rankA, 2)), full]);
  const k = g.shape(a)?.at(-1);
  const shapeA = ofMatrix(rankA === 1 ? 1 : g.shape(a)?.at(-2), k);
  if (rankB > 1) return [g.unbroadcast(da, shapeA, a), g.unbroadcast(db, ofMatrix(k, g.shape(b)?.at(-1)), b)];
  const column = g.emit('Squeeze', [db, g.ints([-1])]);
  return [g.unbroadcast(da, shapeA, a), g.unbroadcast(column, ofMatrix(k, 1)?.slice(0, -1), b)];
}

/** Y = alpha op(A) op(B) + beta C, op transposing or not. */
const Gemm: Rule = (node, g, [dy]) => {
  const [a, b, c] = node.input;
  const alpha = floatAttribute(node, 'alpha', 1);
  const beta = floatAttribute(node, 'beta', 1);
  const isA = intAttribute(node, 'transA', 0);
  const isB = intAttribute(node, 'transB', 0);
  const product = (left: string | undefined, right: string | undefined, transA: number, transB: number) =>
    g.emit('Gemm', [left, right], { alpha, transA, transB });
  const da = isA ? product(b, dy, isB, 1) : product(dy, b, 0, 1 - isB);
  const db = isB ? product(dy, a, 1, isA) : product(a, dy, 1 - isA, 0);
  if (!c) return [da, db];
  const scaled = beta === 1 ? (dy as string) : g.mul(dy, beta);
  return [da, db, g.unbroadcast(scaled, g.shape(node.output[0]), c)];
};

export const LINEAR: Readonly<Record<string, Rule>> = { MatMul, Gemm, Einsum };
