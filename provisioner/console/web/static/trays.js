// Trays as they lie on the bench: a cell a slot. A slot is clicked, reached by the arrow keys, or scanned.

import { h, mark, put } from './dom.js';
import { named, part } from './link.js';
import { deviceCard } from './device.js';
import { t } from './words.js';

const CELLS = { l: 'listed', i: 'imported', w: 'working', c: 'connecting', P: 'pass', F: 'fail', R: 'refused', U: 'unproven', S: 'skipped', '.': 'hole' };
const GLYPHS = { l: '·', i: '○', w: '▸', c: '…', P: '✓', F: '✕', R: '⊘', U: '?', S: '–', '.': '' };
const STEP = { ArrowLeft: () => -1, ArrowRight: () => 1, ArrowUp: (columns) => -columns, ArrowDown: (columns) => columns };

const cellName = (slot, letter) => t('slot.label', { slot, state: t(`cell.${CELLS[letter]}`) });

// The small map on the line's page: only shapes of colour, the counts say the rest.
export function miniMap(name) {
  const cells = h('span', { class: 'cells', 'aria-hidden': 'true' });
  const count = h('span', { class: 'soft' });
  const row = { drawn: '', element: h('li', {}, h('a', { href: `#/tray/${encodeURIComponent(name)}` }, h('b', {}, name), count, cells)) };
  row.draw = (tray) => {
    drawCells(cells, tray, (letter) => h('i', { 'data-cell': CELLS[letter] }), (cell, letter) => mark(cell, 'data-cell', CELLS[letter]));
    const odd = tray.fail + tray.unknown + tray.skipped;
    put(count, t('tray.count', { pass: tray.pass, devices: tray.devices }) + (odd ? ` · ${odd} !` : ''));
    mark(row.element, 'data-odd', odd || tray.doubled.length ? 'odd' : null);
    row.drawn = tray.cells;
  };
  return row;
}

function drawCells(element, tray, make, change) {
  const before = element.drawnCells ?? '';
  const shape = `${tray.rows}x${tray.columns}`;
  if (element.drawnShape !== shape || before.length !== tray.cells.length) {
    element.replaceChildren(...[...tray.cells].map(make));
    element.style.setProperty('--columns', tray.columns);
    element.drawnShape = shape;
  } else {
    for (let slot = 0; slot < tray.cells.length; slot += 1) if (before[slot] !== tray.cells[slot]) change(element.children[slot], tray.cells[slot], slot);
  }
  element.drawnCells = tray.cells;
}

export function traysView() {
  const grid = h('ul', { class: 'minis big' });
  const element = h('main', { class: 'trays', id: 'main', tabindex: -1 }, h('h1', {}, t('trays')), grid);
  const rows = new Map();
  const update = (names, whole) => {
    for (const name of named('tray/')) {
      let row = rows.get(name);
      if (!row) {
        rows.set(name, (row = miniMap(name)));
        grid.append(row.element);
      }
      if (!row.drawn || whole || names.has(`tray/${name}`)) row.draw(part(`tray/${name}`));
    }
    for (const [name, row] of rows) {
      if (!part(`tray/${name}`)) {
        row.element.remove();
        rows.delete(name);
      }
    }
  };
  return { element, update };
}

export function trayView(name, wanted) {
  const title = h('h1', {}, name);
  const summary = h('p', { class: 'soft' });
  const trouble = h('p', { class: 'traytrouble' });
  const grid = h('div', { class: 'map', role: 'grid', 'aria-label': t('tray.map', { name }) });
  const side = h('aside', { class: 'life', 'aria-live': 'polite' }, h('p', { class: 'soft' }, t('tray.choose')));
  const legend = h('ul', { class: 'legend' }, Object.entries(CELLS).map(([letter, kind]) => h('li', {}, h('i', { 'data-cell': kind }, GLYPHS[letter]), t(`cell.${kind}`))));
  const element = h('main', { class: 'tray', id: 'main', tabindex: -1 }, h('header', {}, title, summary, trouble), grid, side, legend);
  let chosen = 0;
  let columns = 1;
  let [doubled, missing] = [new Set(), new Set()];
  let again = false; // the board whose life is shown has moved on

  const choose = (slot, focus = true) => {
    grid.children[chosen]?.setAttribute('tabindex', '-1');
    grid.children[chosen]?.removeAttribute('aria-selected');
    chosen = Math.max(0, Math.min(grid.children.length - 1, slot - 1));
    const cell = grid.children[chosen];
    cell?.setAttribute('tabindex', '0');
    cell?.setAttribute('aria-selected', 'true');
    if (focus) cell?.focus();
  };
  const open = async (slot) => {
    choose(slot);
    side.dataset.slot = slot;
    again = false;
    const card = await deviceCard(`${name}/${slot}`);
    if (side.dataset.slot === String(slot)) side.replaceChildren(card);
  };
  const refresh = async () => {
    again = false;
    const slot = side.dataset.slot;
    const card = await deviceCard(`${name}/${slot}`);
    if (side.dataset.slot !== slot) return;
    const act = side.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    side.replaceChildren(card);
    if (act) side.querySelector(`[data-act="${act}"]`)?.focus(); // whoever pressed the button is still there
  };
  const make = (letter, index) => {
    const cell = h('button', { role: 'gridcell', tabindex: index ? -1 : 0, onclick: () => open(index + 1) },
      h('span', { class: 'number' }, index + 1), h('span', { class: 'glyph', 'aria-hidden': 'true' }));
    change(cell, letter, index);
    return cell;
  };
  const change = (cell, letter, index) => {
    mark(cell, 'data-cell', CELLS[letter]);
    if (index === chosen && side.dataset.slot) again = true;
    dress(cell, letter, index + 1);
  };
  const dress = (cell, letter, slot) => {
    const [lost, twice] = [missing.has(slot), doubled.has(slot)];
    mark(cell, 'data-doubled', twice ? 'doubled' : null);
    mark(cell, 'data-missing', lost ? 'missing' : null);
    put(cell.lastChild, lost ? t('cell.missing') : GLYPHS[letter]);
    mark(cell, 'aria-label', cellName(slot, letter) + (twice ? `, ${t('cell.doubled')}` : lost ? `, ${t('cell.missing')}` : ''));
  };
  grid.addEventListener('keydown', (event) => {
    const step = STEP[event.key]?.(columns);
    if (!step) return;
    event.preventDefault();
    choose(chosen + 1 + step);
  });

  const update = () => {
    const tray = part(`tray/${name}`);
    if (!tray) return;
    columns = tray.columns;
    [doubled, missing] = [new Set(tray.doubled), new Set(tray.missing)];
    const first = !grid.firstChild;
    drawCells(grid, tray, make, change);
    for (const slot of [...doubled, ...missing]) if (grid.children[slot - 1]) dress(grid.children[slot - 1], tray.cells[slot - 1], slot);
    put(summary, t('tray.summary', { ...tray, word: t('word.unknown') }));
    const notes = [];
    if (tray.missing.length) notes.push(t('tray.missing', { slots: tray.missing.join(', ') }));
    if (tray.doubled.length) notes.push(t('tray.doubled', { slots: tray.doubled.join(', ') }));
    put(trouble, notes.join(' · '));
    if (first && wanted) open(Number(wanted));
    else if (again) refresh();
  };
  return { element, update, open };
}
