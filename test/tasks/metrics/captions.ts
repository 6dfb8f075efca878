/** Candidates and references on which independent implementations were run; see the tests for which. */
export const CAPTIONS: readonly { readonly caption: string; readonly references: readonly string[] }[] = [
  {
    caption: 'a dog runs on the grass',
    references: [
      'a black dog is running through the grass',
      'a dog runs across the green grass',
      'the dog runs on grass',
    ],
  },
  {
    caption: 'two men in blue shirts',
    references: [
      'two men wearing blue shirts stand outside',
      'men in blue shirts',
      'two men in shirts of blue and white are talking',
      'a pair of men',
    ],
  },
  { caption: 'the cat sat on the mat mat', references: ['the cat is on the mat', 'there is a cat on the mat'] },
  { caption: 'a', references: ['a man on a horse', 'a rider'] },
  {
    caption: 'a child is riding a red bike down the street with a helmet',
    references: [
      'a child rides a red bike',
      'a little boy in a helmet is riding a bike down the street',
      'a boy on a bicycle',
    ],
  },
];
