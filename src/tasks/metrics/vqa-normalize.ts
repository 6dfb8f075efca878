/**
 * Contractions that a missing apostrophe is put back into. Where one has several, each may be the missing one
 * ("couldnt've", "couldn'tve").
 */
const CONTRACTIONS = `ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
  haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't
  must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've
  somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll that's
  there'd there'd've there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't
  what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's
  won't would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've`;

const RESTORED: ReadonlyMap<string, string> = new Map([
  ...CONTRACTIONS.split(/\s+/).flatMap((word) =>
    [...word.matchAll(/'/g)].map(({ index }) => [word.slice(0, index) + word.slice(index + 1), word] as const),
  ),
  // The one that the authors' table turns the other way round.
  ["somebody'd", 'somebodyd'] as const,
]);

const NUMBERS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];
const DIGITS: ReadonlyMap<string, string> = new Map([
  ['none', '0'] as const,
  ...NUMBERS.map((word, value) => [word, `${value}`] as const),
]);

const ARTICLES = new Set(['a', 'an', 'the']);
const PUNCTUATION = [...';/[]"{}()=+\\_-><@`,?!'];

/**
 * An answer as VQA's evaluation compares it: lower case, punctuation taken out (or made a space where it joins words),
 * periods outside numbers removed, number words as digits, no articles, apostrophes put back into contractions.
 * The rules and their quirks are those of GT-Vision-Lab/VQA, vqaEval.py.
 */
export function normalizeAnswer(answer: string): string {
  const commaInNumber = /\d,\d/.test(answer);
  let text = answer;
  for (const mark of PUNCTUATION) {
    const atEdge = answer.includes(`${mark} `) || answer.includes(` ${mark}`);
    text = text.replaceAll(mark, atEdge || commaInNumber ? '' : ' ');
  }
  return text
    .replace(/\.(?!\d)/g, '')
    .toLowerCase()
    .split(/\s+/)
    .map((word) => DIGITS.get(word) ?? word)
    .filter((word) => word !== '' && !ARTICLES.has(word))
    .map((word) => RESTORED.get(word) ?? word)
    .join(' ');
}
