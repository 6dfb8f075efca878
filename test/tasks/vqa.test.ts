import { describe, expect, it } from 'vitest';
import { vqa } from '../../src/tasks/index.ts';
import { fakeTail, featureOf } from './fake-tail.ts';

const vocabulary = ['<pad>', '<unk>', 'what', 'is', 'it', "what's"];
const answers = ['red', 'green', 'blue'];
const task = vqa({ vocabulary, answers, maxTokens: 4, types: ['colour'] });

describe('VQA', () => {
  it('reads questions as padded ids and answers each for its image', async () => {
    const tail = fakeTail((feature) => answers.map((_, i) => (i === feature ? 2 : 0)), false);
    const asks = [['What is it?', "What's that"], [], ['it is it is it is']];
    const found = await task.answer(tail, [featureOf([1, 2, 0])], asks);
    expect(found.map((each) => each.map(({ answer }) => answer))).toEqual([['green', 'green'], [], ['red']]);
    expect(found[0][0].probability).toBeCloseTo(Math.exp(2) / (Math.exp(2) + 2), 6);
    expect(tail.seen.tokens).toEqual([
      [2n, 3n, 4n, 0n],
      [5n, 1n, 0n, 0n],
      [4n, 3n, 4n, 3n],
    ]);
  });

  it('reads a question without words as one unknown word', async () => {
    const tail = fakeTail(() => [0, 1, 0], false);
    await task.answer(tail, [featureOf([0])], [['???']]);
    expect(tail.seen.tokens).toEqual([[1n, 0n, 0n, 0n]]);
  });

  it('runs many questions of an image in parts', async () => {
    const tail = fakeTail((feature) => [feature, 0.5, 0], false);
    const found = await task.answer(tail, [featureOf([1, 0])], [Array(70).fill('is it'), Array(60).fill('is it')]);
    expect(found[0].every(({ answer }) => answer === 'red')).toBe(true);
    expect(found[1].every(({ answer }) => answer === 'green')).toBe(true);
    expect(Math.max(...tail.seen.rows)).toBe(64);
  });

  it('refuses questions above the cap, lists that are empty and a model of other answers', async () => {
    const tail = fakeTail(() => [0, 1, 0], false);
    await expect(task.answer(tail, [featureOf([0])], [['x'.repeat(1001)]])).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining('question'),
    });
    expect(() => vqa({ vocabulary, answers: [] })).toThrow(/answer/);
    const two = vqa({ vocabulary, answers: ['yes', 'no'] });
    await expect(two.answer(tail, [featureOf([0])], [['is it']])).rejects.toMatchObject({ code: 'TENSOR_INVALID' });
  });

  it('says what people say, most of them first, and what one answer is worth', () => {
    const truth = { answers: ['blue', 'red', 'red', 'red', 'green', 'red'] };
    expect(task.truthTexts(truth)).toEqual(['red', 'blue', 'green']);
    const answer = (text: string) => ({ answer: text, index: answers.indexOf(text), probability: 1 });
    expect(task.text(answer('red'))).toBe('red');
    expect(task.credit(answer('red'), truth)).toBe(1);
    // Of six turns the five that leave out somebody else find one match of the three that count in full.
    expect(task.credit(answer('blue'), truth)).toBeCloseTo(5 / 6 / 3, 9);
    expect(task.credit(answer('purple'), truth)).toBe(0);
  });

  it('is scored over all and by type of question', () => {
    expect(task.metrics.map(({ name }) => name)).toEqual(['accuracy', 'accuracy:colour']);
  });
});
