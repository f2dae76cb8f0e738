// One shape for each thing a station can show: told apart without colour, and from three metres.

import { h, s } from './dom.js';
import { t } from './words.js';

const stroke = (d, width = 11) => s('path', { d, fill: 'none', stroke: 'currentColor', 'stroke-width': width, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' });
const solid = (d) => s('path', { d, fill: 'currentColor' });
const OCTAGON = 'M33 6H67L94 33V67L67 94H33L6 67V33Z';
const DIAMOND = 'M50 3L97 50L50 97L3 50Z';
const TRIANGLE = 'M50 7L96 90H4Z';
const SQUARE = 'M12 12H88V88H12Z';

const INSIDE = {
  pass: () => [s('circle', { cx: 50, cy: 50, r: 44, fill: 'none', stroke: 'currentColor', 'stroke-width': 8 }), stroke('M28 52L44 68L73 34', 12)],
  fail: () => [solid(OCTAGON), s('path', { d: 'M34 34L66 66M66 34L34 66', stroke: 'var(--under)', 'stroke-width': 13, 'stroke-linecap': 'round' })],
  unproven: () => [stroke(DIAMOND, 7), stroke('M38 39C38 24 62 24 62 39C62 49 50 48 50 60', 9), s('circle', { cx: 50, cy: 74, r: 5.5, fill: 'currentColor' })],
  waiting: () => [stroke(DIAMOND, 7), stroke('M36 29H64M36 71H64M39 29C39 45 61 55 61 71M61 29C61 45 39 55 39 71', 6)],
  again: () => [stroke('M78 36A33 33 0 1 0 83 56', 10), solid('M92 22L88 50L64 36Z')],
  stranger: () => [stroke(TRIANGLE, 8), stroke('M50 38V60', 9), s('circle', { cx: 50, cy: 75, r: 5.5, fill: 'currentColor' })],
  mismatch: () => [stroke(TRIANGLE, 8), stroke('M36 57H64M36 71H64M58 47L44 81', 7)],
  held: () => [solid(OCTAGON), s('path', { d: 'M30 40H70M30 60H70', stroke: 'var(--under)', 'stroke-width': 11 })],
  paused: () => [stroke('M36 18V82M64 18V82', 16)],
  stopping: () => [stroke(SQUARE, 9), solid('M36 36H64V64H36Z')],
  drained: () => [stroke(SQUARE, 8), stroke('M28 28L72 72M72 28L28 72', 8)],
  finished: () => [stroke('M24 92V10', 9), solid('M28 12H82L70 29L82 46H28Z')],
  running: () => [stroke('M8 50A42 42 0 0 1 92 50', 8), solid('M92 36L98 58L76 54Z'), s('circle', { cx: 50, cy: 50, r: 12, fill: 'currentColor' })],
  searching: () => [s('circle', { cx: 42, cy: 42, r: 30, fill: 'none', stroke: 'currentColor', 'stroke-width': 9 }), stroke('M66 66L90 90', 12)],
  ready: () => [stroke('M50 8V62M28 42L50 64L72 42', 11), stroke('M12 74V90H88V74', 9)],
  starting: () => [18, 50, 82].map((cx) => s('circle', { cx, cy: 50, r: 9, fill: 'currentColor' })),
};

export const shape = (kind) => s('svg', { viewBox: '0 0 100 100', class: 'shape', 'aria-hidden': 'true' }, (INSIDE[kind] ?? INSIDE.starting)());

// A Photon as it lies on the jig: two rows of pins, two buttons, and the light that matters.
export function board(led) {
  const pins = [];
  for (let x = 20; x <= 180; x += 14.5) pins.push(s('rect', { x, y: 4, width: 8, height: 10, class: 'pin' }), s('rect', { x, y: 86, width: 8, height: 10, class: 'pin' }));
  return h('figure', { class: 'board', 'data-led': led },
    s('svg', { viewBox: '0 0 204 100', 'aria-hidden': 'true' },
      pins,
      s('rect', { x: 8, y: 12, width: 188, height: 76, rx: 7, class: 'pcb' }),
      s('rect', { x: 14, y: 30, width: 62, height: 40, rx: 3, class: 'can' }),
      s('rect', { x: 182, y: 36, width: 22, height: 28, rx: 3, class: 'usb' }),
      s('rect', { x: 92, y: 22, width: 16, height: 12, rx: 3, class: 'button' }),
      s('text', { x: 100, y: 46, class: 'print' }, 'SETUP'),
      s('rect', { x: 92, y: 66, width: 16, height: 12, rx: 3, class: 'button' }),
      s('text', { x: 100, y: 62, class: 'print' }, 'RESET'),
      s('circle', { cx: 142, cy: 50, r: 26, class: 'halo' }),
      s('circle', { cx: 142, cy: 50, r: 13, class: 'led' })),
    h('figcaption', {}, led ? t(`led.${led}`) : ''));
}
