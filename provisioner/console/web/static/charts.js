// Yield and takt over the shift, and what boards fail of. Drawn as SVG, to be read without colour too.

import { h, s } from './dom.js';
import { part } from './link.js';
import { cause, clock, percent, seconds, t } from './words.js';

const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [640, 220, 44, 24, 26, 10];
const PLAIN = HEIGHT - BOTTOM - TOP;

export function chartsView() {
  const shape = h('div', { class: 'charts' });
  const element = h('main', { class: 'chartpage', id: 'main', tabindex: -1 }, h('h1', {}, t('charts')), shape);
  let drawn = '';
  return {
    element,
    update(names, whole) {
      if (drawn && !whole && !names.has('curve') && !names.has('pareto') && !names.has('redraw')) return;
      const [curve, pareto] = [part('curve'), part('pareto')];
      if (!curve || !pareto) return;
      const signature = JSON.stringify([curve, pareto, document.documentElement.lang]);
      if (signature === drawn) return;
      drawn = signature;
      shape.replaceChildren(yieldChart(curve), taktChart(curve), paretoChart(pareto));
    },
  };
}

const frame = (title, note, picture, table) => h('figure', {}, h('h2', {}, title), note ? h('p', { class: 'soft' }, note) : null, picture, table ? h('details', {}, h('summary', {}, t('chart.table')), table) : null);
const tableOf = (heads, rows) => h('table', {}, h('thead', {}, h('tr', {}, heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', {}, rows.map((row) => h('tr', {}, row.map((cell) => h('td', {}, cell))))));
const none = () => h('p', { class: 'soft' }, t('chart.none'));

function axes(steps, stepMs, topText, most) {
  const every = Math.max(1, Math.ceil(steps / 6));
  const marks = [];
  for (let number = 0; number <= steps; number += every) {
    const x = LEFT + ((WIDTH - LEFT - RIGHT) * number) / Math.max(1, steps);
    marks.push(s('text', { x, y: HEIGHT - 8, 'text-anchor': 'middle' }, clock(number * stepMs)));
  }
  return [0, 0.5, 1].map((share) => {
    const y = TOP + PLAIN * (1 - share);
    return [s('line', { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: 'grid' }), s('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, topText(share * most))];
  }).concat(marks);
}

function picture(title, ...inside) {
  return s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': title }, inside);
}

function yieldChart({ steps, step_ms: stepMs }) {
  const title = t('chart.yield');
  if (!steps.length) return frame(title, '', none(), null);
  const most = Math.max(4, ...steps.map(([pass, fail, open]) => pass + fail + open));
  const wide = (WIDTH - LEFT - RIGHT) / steps.length;
  const bars = steps.flatMap((counts, number) => {
    let y = TOP + PLAIN;
    return ['pass', 'unproven', 'fail'].map((name, which) => {
      const count = [counts[0], counts[2], counts[1]][which];
      const high = (PLAIN * count) / most;
      y -= high;
      return count ? s('rect', { x: LEFT + number * wide + wide * 0.1, y, width: wide * 0.8, height: high, class: `bar ${name}` }) : null;
    });
  });
  let [good, bad] = [0, 0];
  const points = steps.map(([pass, fail], number) => {
    good += pass;
    bad += fail;
    return good + bad ? `${(LEFT + (number + 0.5) * wide).toFixed(1)},${(TOP + PLAIN * (1 - good / (good + bad))).toFixed(1)}` : null;
  }).filter(Boolean);
  const note = t('chart.yield.note', { step: clock(stepMs), yield: percent(good, good + bad) });
  const rows = steps.map(([pass, fail, open], number) => [clock(number * stepMs), pass, fail, open]);
  return frame(title, note,
    picture(`${title}: ${note}`, axes(steps.length, stepMs, (value) => String(Math.round(value)), most), bars, s('polyline', { points: points.join(' '), class: 'curve' })),
    tableOf([t('chart.from'), t('word.pass'), t('word.fail'), t('word.unknown')], rows));
}

function taktChart({ steps, step_ms: stepMs }) {
  const title = t('chart.takt');
  const takts = steps.map(([pass]) => (pass ? stepMs / pass / 1000 : null));
  const known = takts.filter((takt) => takt !== null);
  if (!known.length) return frame(title, '', none(), null);
  const most = Math.max(...known) * 1.15;
  const wide = (WIDTH - LEFT - RIGHT) / steps.length;
  const at = (takt, number) => [LEFT + (number + 0.5) * wide, TOP + PLAIN * (1 - takt / most)];
  const dots = takts.map((takt, number) => {
    if (takt === null) return null;
    const [cx, cy] = at(takt, number);
    return s('circle', { cx, cy, r: 3, class: 'dot' });
  });
  const line = takts.map((takt, number) => (takt === null ? null : at(takt, number).map((value) => value.toFixed(1)).join(','))).filter(Boolean);
  const middle = known.toSorted((a, b) => a - b)[Math.floor(known.length / 2)];
  const note = t('chart.takt.note', { step: clock(stepMs), median: seconds(middle * 1000) });
  return frame(title, note,
    picture(`${title}: ${note}`, axes(steps.length, stepMs, (value) => value.toFixed(value < 10 ? 1 : 0), most), s('polyline', { points: line.join(' '), class: 'curve' }), dots),
    tableOf([t('chart.from'), t('chart.takt')], takts.map((takt, number) => [clock(number * stepMs), takt === null ? '–' : seconds(takt * 1000)])));
}

function paretoChart({ rows, all }) {
  const title = t('chart.pareto');
  if (!rows.length) return frame(title, '', h('p', { class: 'soft' }, t('failures.none')), null);
  let sum = 0;
  const shared = rows.map(([code, count]) => [code, count, (sum += count)]);
  const most = rows[0][1];
  return frame(title, t('chart.pareto.note', { all }),
    h('ol', { class: 'pareto' }, shared.map(([code, count, upTo]) => {
      const fill = h('span', { class: 'fill' });
      fill.style.width = `${(100 * count) / most}%`;
      return h('li', {}, h('span', { class: 'why' }, cause(code)), h('span', { class: 'track', 'aria-hidden': 'true' }, fill), h('b', {}, count), h('span', { class: 'soft' }, percent(upTo, all)));
    })),
    tableOf([t('chart.cause'), t('chart.count')], rows.map(([code, count]) => [`${cause(code)} (${code})`, count])));
}
