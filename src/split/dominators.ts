/**
 * Post-dominators of a graph without circles: the vertices that every way from a vertex to the end goes through, as a
 * tree with the end at its root. Vertices are added after all their successors. The nearest common ancestor is found
 * by jump pointers (E. W. Myers, "An applicative random-access stack", 1983), so that a graph of n vertices and m edges
 * takes O(n + m log n).
 */
export class PostDominators {
  /** The next post-dominator of each vertex; -1 for those that do not reach the end. */
  readonly parent: Int32Array;
  readonly #depth: Int32Array;
  readonly #jump: Int32Array;

  /** `end` is the vertex that all ways lead to. */
  constructor(vertices: number, end: number) {
    this.parent = new Int32Array(vertices).fill(-1);
    this.#depth = new Int32Array(vertices);
    this.#jump = new Int32Array(vertices);
    this.parent[end] = end;
    this.#jump[end] = end;
  }

  /** Adds a vertex by its successors; one without successors that reach the end does not reach it either. */
  add(vertex: number, successors: readonly number[]): void {
    let common = -1;
    for (const next of successors) {
      if (this.parent[next] >= 0) common = common < 0 ? next : this.#meet(common, next);
    }
    if (common < 0) return;
    const depth = this.#depth;
    const jump = this.#jump;
    const far = jump[common];
    this.parent[vertex] = common;
    depth[vertex] = depth[common] + 1;
    jump[vertex] = depth[common] - depth[far] === depth[far] - depth[jump[far]] ? jump[far] : common;
  }

  #meet(one: number, other: number): number {
    const depth = this.#depth;
    const jump = this.#jump;
    let [a, b] = depth[one] >= depth[other] ? [one, other] : [other, one];
    while (depth[a] > depth[b]) a = depth[jump[a]] >= depth[b] ? jump[a] : this.parent[a];
    while (a !== b) [a, b] = jump[a] === jump[b] ? [this.parent[a], this.parent[b]] : [jump[a], jump[b]];
    return a;
  }
}
