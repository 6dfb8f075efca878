/**
 * The page's script: values of the mark nearest to pointer, finger or arrow keys, and switches for ladders. Without it marks
 * still have titles, and every value stands in the tables.
 */
export const SCRIPT = `'use strict';
const tip = document.getElementById('tip');
const REACH = 28;
let current;

function visible(plot) {
  return [...plot.querySelectorAll('.mark')].filter((mark) => mark.getClientRects().length > 0);
}

function centre(mark) {
  const box = mark.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
}

function hide() {
  tip.hidden = true;
  current?.classList.remove('current');
  current = undefined;
}

function show(mark) {
  if (mark === current) return;
  hide();
  current = mark;
  mark.classList.add('current');
  const lines = mark.firstElementChild.textContent.split(' \\u00b7 ').map((line) => {
    const element = document.createElement('div');
    element.textContent = line;
    return element;
  });
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const { x, y } = centre(mark);
  const { width, height } = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(room - width - 8, x - width / 2));
  const top = y - height - 14 >= 8 ? y - height - 14 : y + 14;
  tip.style.left = left + scrollX + 'px';
  tip.style.top = top + scrollY + 'px';
}

for (const plot of document.querySelectorAll('.plot')) {
  const nearest = ({ clientX, clientY }) => {
    let best;
    let least = REACH;
    for (const mark of visible(plot)) {
      const { x, y } = centre(mark);
      const distance = Math.hypot(x - clientX, y - clientY);
      if (distance < least) [best, least] = [mark, distance];
    }
    if (best) show(best);
    else hide();
  };
  plot.addEventListener('pointermove', nearest);
  plot.addEventListener('pointerdown', nearest);
  plot.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && hide());
  plot.addEventListener('blur', hide);
  plot.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') hide();
    if (!step) return;
    event.preventDefault();
    const marks = visible(plot);
    if (marks.length === 0) return;
    const at = marks.indexOf(current);
    show(marks[at < 0 ? (step > 0 ? 0 : marks.length - 1) : (at + step + marks.length) % marks.length]);
  });
}

for (const button of document.querySelectorAll('[data-ladders]')) {
  button.addEventListener('click', () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(on));
    hide();
    for (const ladder of button.dataset.ladders.split(' ')) {
      for (const layer of button.closest('section').querySelectorAll('[class*=" l' + ladder + '_"]')) {
        layer.style.display = on ? '' : 'none';
      }
    }
  });
}
`;
