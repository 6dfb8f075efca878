import { describe, expect, it } from 'vitest';
import type { Bed } from '../../src/evaluate/bed.ts';
import { evidenceOf, meanItems } from '../../src/evaluate/evidence.ts';
import { choose } from '../../src/evaluate/samples.ts';
import { classification } from '../../src/tasks/index.ts';

const inputs = Array.from({ length: 20 }, (_, i) => ({
  path: `${i}.jpg`,
  hash: String(i),
  fileBytes: 1,
  asks: [null],
  truths: [0],
}));

/** Answers that differ from the uncut model's on some images. */
const evidence = (changed: readonly number[]) => ({
  answers: inputs.map((_, i) => [{ text: 'a', same: !changed.includes(i), credit: 1 }]),
  sizes: inputs.map(() => 1),
  spent: [],
});

describe('choose', () => {
  it('draws half by seed, and takes the most changed of the rest', () => {
    const chosen = choose({ inputs }, [evidence([3, 7, 11]), evidence([7, 11]), evidence([7])], 6, 1);
    const drawn = chosen.filter((each) => each.chosen === 'drawn').map(({ image }) => image);
    expect(drawn).toHaveLength(3);
    const changed = chosen.filter((each) => each.chosen === 'most changed').map(({ image }) => image);
    expect(changed).toEqual([7, 11, 3].filter((image) => !drawn.includes(image)));
    expect(choose({ inputs }, [evidence([3])], 6, 1).filter((each) => each.chosen === 'drawn')).toEqual(
      chosen.filter((each) => each.chosen === 'drawn'),
    );
    expect(choose({ inputs }, [], 6, 2).map(({ image }) => image)).not.toEqual(drawn);
  });

  it('takes what there is', () => {
    expect(choose({ inputs: inputs.slice(0, 1) }, [], 6, 1)).toEqual([{ image: 0, chosen: 'drawn' }]);
    expect(choose({ inputs }, [evidence([])], 4, 1)).toHaveLength(2);
    expect(choose({ inputs }, [evidence([1])], 0, 1)).toEqual([]);
  });
});

describe('evidenceOf', () => {
  it('tells answers in words, whether they changed, and what they are worth', () => {
    const task = classification({ labels: ['cat', 'dog'] });
    const answer = (index: number) => [{ index, label: ['cat', 'dog'][index], probability: 1, top: [] }];
    const bed = { task, inputs: inputs.slice(0, 2), answers: [answer(0), answer(1)] } as unknown as Bed;
    expect(evidenceOf(bed, { answers: [answer(1), answer(1)], sizes: [5, 6] })).toEqual({
      answers: [[{ text: 'dog', same: false, credit: 0 }], [{ text: 'dog', same: true, credit: 0 }]],
      sizes: [5, 6],
      spent: [],
    });
  });
});

describe('meanItems', () => {
  it('is item by item the mean of packets', () => {
    const packet = (bytes: number) => [
      { what: 'frame', bytes: 9 },
      { what: 'rest', bytes },
    ];
    expect(meanItems([packet(1), packet(4)])).toEqual(packet(2.5));
    expect(meanItems([])).toEqual([]);
  });
});
