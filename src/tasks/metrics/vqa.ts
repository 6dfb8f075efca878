import type { Metric } from '../task.ts';
import { meanMetric } from './mean.ts';
import { normalizeAnswer } from './vqa-normalize.ts';

/** What people answered, and what kind of question it was. */
export interface VqaTruth {
  readonly answers: readonly string[];
  readonly type?: string;
}

/** People who must agree with an answer for it to count in full. */
const AGREEING = 3;

/**
 * VQA v2 accuracy. Of n people's answers each is left out in turn; the answer scores `min(matches / 3, 1)` against the
 * others, and the mean over turns counts. Where fewer than three others are left, all of them must agree, which for up
 * to four answers is the share of people who gave the answer; of a single one, whether it is the same.
 * Answers are normalized where people differ ({@link normalizeAnswer}) and compared as they are where all agree, as the
 * authors' evaluation code does (GT-Vision-Lab/VQA, vqaEval.py).
 * With `type`, over questions of that type only. Goyal et al., "Making the V in VQA Matter", CVPR 2017.
 */
export function vqaAccuracy(type?: string): Metric<{ readonly answer: string }, VqaTruth> {
  return meanMetric(type === undefined ? 'accuracy' : `accuracy:${type}`, ({ answer }, truth) => {
    if (type !== undefined && truth.type !== type) return null;
    return agreement(answer, truth.answers);
  });
}

function agreement(answer: string, people: readonly string[]): number {
  const trimmed = people.map(trim);
  const differ = new Set(trimmed).size > 1;
  const given = differ ? normalizeAnswer(trim(answer)) : trim(answer);
  const matches = trimmed.filter((other) => (differ ? normalizeAnswer(other) : other) === given).length;
  const count = people.length;
  if (count < 2) return matches;
  const needed = Math.min(AGREEING, count - 1);
  const leavingMatchOut = Math.min((matches - 1) / needed, 1);
  const leavingOtherOut = Math.min(matches / needed, 1);
  return (matches * leavingMatchOut + (count - matches) * leavingOtherOut) / count;
}

function trim(answer: string): string {
  return answer.replace(/[\n\t]/g, ' ').trim();
}
