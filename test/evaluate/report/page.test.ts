import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BenchDocument, reportPage } from '../../../src/evaluate/index.ts';
import { newDocument, stopped } from './document.ts';

/** Text of the elements that a pattern of their opening tag finds, without their markup. */
function texts(page: string, tag: string): string[] {
  const found = page.matchAll(new RegExp(`<${tag}(?: [^>]*)?>(.*?)</${tag}>`, 'gs'));
  return [...found].map(([, inner]) => inner.replace(/<[^>]*>/g, '').trim());
}

/** A section by its id. */
function section(page: string, id: string): string {
  const [found = ''] = new RegExp(`<section id="${id}".*?</section>`, 's').exec(page) ?? [];
  return found;
}

/** What stands where a value is missing. */
function unsaid(page: string): string[] {
  return page.replace(/<script>.*<\/script>/s, '').match(/.{0,40}(NaN|undefined|null|Infinity)/g) ?? [];
}

describe('reportPage', () => {
  const document = newDocument();
  let page: string;
  beforeAll(async () => {
    page = await reportPage(document);
  });

  it('has a section for each thing that is asked of a report', () => {
    expect(texts(page, 'h1')).toEqual(['rooms: bytes against score']);
    for (const id of [
      'task-classification',
      'task-captioning',
      'task-vqa',
      'spent',
      'times',
      'samples',
      'points',
      'provenance',
    ])
      expect(section(page, id), id).not.toBe('');
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(target);
  });

  it('draws every point of a task and names its exact values', () => {
    const charts = section(page, 'task-vqa');
    // The reference is a line; pictures and the control stand in the charts of both cuts.
    const marks = (charts.match(/class="mark"/g) ?? []).length;
    const ofTask = document.points.filter(({ task, way }) => task === 'vqa' && way !== 'reference');
    const uncut = ofTask.filter(({ cut }) => cut === null).length;
    expect(marks).toBe(ofTask.length + uncut + ofTask.length);
    expect(charts).toContain(
      'learned coarse (file) cut after block 6 · 313 bytes an image (p95 375) · score 81.25 [76.3, 86.3] · loss 3.25 [1.8, 4.5]',
    );
    expect(charts).toContain('uncut 84.5');
    expect(unsaid(charts)).toEqual([]);
  });

  it('tells ladders of one chart apart without colour', () => {
    const [legend] = /<ul class="legend">.*?<\/ul>/s.exec(section(page, 'task-vqa')) ?? [''];
    const looks = [...legend.matchAll(/stroke-dasharray="([^"]*)".*?d="([^"]*)" fill="([^"]*)"/g)].map(
      ([, dash, d, fill]) => [dash, d, fill === 'var(--page)'].join(),
    );
    expect(looks).toHaveLength(13);
    expect(new Set(looks).size).toBe(looks.length);
  });

  it('says what codecs lose at least where none comes to a point', async () => {
    const lossy = {
      ...document,
      points: document.points.map((point) => (point.cut === null ? point : { ...point, loss: point.loss + 5 })),
      summary: document.summary.map((row) =>
        row.cut === null ? row : { ...row, at: row.at.map((each) => ({ ...each, bytes: null, below: null })) },
      ),
    };
    const [least] = lossy.points
      .filter(({ task, cut }) => task === 'vqa' && cut !== null)
      .toSorted((a, b) => a.loss - b.loss || a.bytes - b.bytes);
    const cards = section(await reportPage(lossy), 'short');
    expect(cards.match(/% loses/g)).toHaveLength(3);
    expect(cards).toContain(`${least.loss.toFixed(2)} [`);
    expect(section(page, 'short')).not.toContain('% loses');
  });

  it('shows the control beside every claim', () => {
    expect(section(page, 'short').match(/Control: the answer itself, made on the device, is 2 bytes/g)).toHaveLength(3);
    expect(section(page, 'task-vqa')).toContain('answering on the device, sends 2 bytes with a head’s share of 100');
    expect(section(page, 'points')).toMatch(/device<\/th><td class="text">answer<\/td><td>2<\/td>/);
  });

  it('holds every point and every row of the summary in its tables', () => {
    const rows = (html: string) => (html.match(/<tr><th scope="row">/g) ?? []).length;
    expect(rows(section(page, 'points'))).toBe(document.points.length);
    for (const task of document.run.tasks) {
      expect(rows(section(page, `task-${task}`))).toBe(document.summary.filter((row) => row.task === task).length);
    }
    expect(page.match(/<table/g)?.length).toBe(page.match(/<caption>/g)?.length);
  });

  it('adds up what bytes and time are spent on', () => {
    expect(section(page, 'spent')).toMatch(/<strong>713 bytes<\/strong>/);
    expect(section(page, 'spent')).toMatch(/components 0 to 7 <b>401 \(56\u202f%\)/);
    const times = section(page, 'times');
    expect(times).toMatch(/head <b>8.5\u202fms/);
    expect(times).toMatch(/<strong>22\u202fms<\/strong>/);
  });

  it('shows pictures with the answers of people, of the uncut model and of each way', () => {
    const samples = section(page, 'samples');
    expect(samples.match(/<img src="data:image\/webp;base64,[\w+/=]+" alt="[^"]+">/g)).toHaveLength(6);
    expect(samples).toContain('what is left of the cube');
    expect(samples).toMatch(/<dd class="changed">.*?something else <small>wrong/s);
    // The setting that stands for the ladder, with the bytes of this picture.
    expect(samples).toMatch(/learned <b>1,250<\/b>/);
  });

  it('says how it was measured', () => {
    const how = section(page, 'provenance');
    expect(how).toContain('&#39;after block 3&#39;');
    for (const fact of ['onnxruntime-node 1.30.0', 'sharp 0.35.5', 'v20.20.2', 'a processor, 2 cores', 'bootstrap'])
      expect(how).toContain(fact);
  });

  it('loads nothing and runs nothing but its own script', () => {
    expect(page.replace(/http:\/\/www\.w3\.org\/[\w/]+/g, '')).not.toMatch(/https?:/);
    expect(page).not.toMatch(/<(link|iframe|object|embed|base)\b|@import|url\(|\son\w+=|javascript:/i);
    const scripts = [...page.matchAll(/<script>(.*?)<\/script>/gs)];
    expect(scripts).toHaveLength(1);
    const hash = createHash('sha256').update(scripts[0][1]).digest('base64');
    expect(page).toContain(`script-src &#39;sha256-${hash}&#39;`);
  });

  it('is the same page of the same measurement', async () => {
    expect(await reportPage(newDocument())).toBe(page);
  });
});

describe('whatever a run holds', () => {
  it('stays text where names, captions and paths are hostile', async () => {
    const attack = `"><script>alert(1)</script><img src=x onerror='alert(2)'>\${7*7}</style></title>`;
    const { run, points, summary, spent, samples } = newDocument();
    const evil: BenchDocument = {
      run: {
        ...run,
        suite: attack,
        split: attack,
        cuts: { [attack]: ['after block 3'], 'after block 6': ['after block 6'] },
        runtime: attack,
        command: ['isthmus', attack],
        notes: [attack],
        skipped: [{ path: attack, code: 'IMAGE_UNREADABLE', message: attack }],
        versions: { [attack]: attack },
        machine: { ...run.machine, cpu: attack },
      },
      points: points.map((point) => ({ ...point, setting: `${point.setting}${attack.replaceAll(' ', '_')}` })),
      summary: summary.map((row) => ({ ...row, ladder: attack })),
      spent: spent.map((items) => items.map(({ bytes }) => ({ what: attack, bytes }))),
      samples: samples.map((sample) => ({
        ...sample,
        image: attack,
        asked: sample.asked.map((asked) => ({
          ask: attack,
          truths: [attack],
          reference: { ...asked.reference, text: attack },
          answers: asked.answers.map((answer) => ({ ...answer, text: attack })),
        })),
      })),
    };
    const page = await reportPage(evil);
    expect(page.match(/<script>/g)).toHaveLength(1);
    expect(page).not.toMatch(/<img src=x|<\/style><\/title>/);
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  });

  it('is told as far as a stopped run came', async () => {
    const whole = newDocument();
    const page = await reportPage(stopped(whole, 5));
    expect(page).toContain('The run was stopped.');
    expect(section(page, 'task-classification')).not.toBe('');
    expect(section(page, 'task-vqa')).toBe('');
    expect(unsaid(page)).toEqual([]);
  });

  it.each([0, 1, 2, 3])('makes a page of %i points', async (count) => {
    const page = await reportPage(stopped(newDocument(), count));
    expect(page).toContain('The run was stopped.');
    expect(unsaid(page)).toEqual([]);
    if (count === 0) expect(page).toContain('No point was finished.');
  });
});
