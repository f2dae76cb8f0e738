// The line lead's page: the whole line at a glance, and what needs somebody.

import { h, keyed, mark, part as share, put } from './dom.js';
import { named, now, part, state } from './link.js';
import { operator, order, relabel } from './acts.js';
import { miniMap } from './trays.js';
import { cause, clock, percent, place, remedy, seconds, t, time } from './words.js';

const OUTCOMES = ['pass', 'fail', 'unknown', 'skipped'];
const MANY = 12;
const SIGNS = { pass: '✓', fail: '✕', unknown: '?', skipped: '–', left: '·' };

export function lineView() {
  const parts = [banner(), counts(), gauges(), stations(), trays(), failures(), codes()];
  const element = h('main', { class: 'line', id: 'main', tabindex: -1 }, parts.map((each) => each.element));
  const update = (names, whole) => parts.forEach((each) => each.update(names, whole));
  return { element, update, tick: () => parts.forEach((each) => each.tick?.()) };
}

function banner() {
  const word = h('h1', {});
  const why = h('p', { class: 'why' });
  const todo = h('p', { class: 'todo' });
  const which = h('p', { class: 'which' });
  const hold = h('button', { class: 'plain', onclick: () => order(hold.dataset.act) });
  const stop = h('button', { class: 'plain', onclick: () => order('stop') });
  const element = h('section', { class: 'banner', 'aria-live': 'polite' }, h('div', {}, word, why, todo, which), h('div', { class: 'buttons' }, hold, stop));
  return {
    element,
    update() {
      const head = part('head');
      if (!head) return;
      mark(element, 'data-tone', head.tone);
      put(word, t(`head.${head.key}`, head));
      put(why, head.trouble ? `${head.key === 'running_without' ? t('without', head) : ''}${cause(head.trouble.code)}` : t(`head.${head.key}.why`, { ...head, text: head.why }));
      const text = head.trouble ? remedy(head.trouble) : t(`head.${head.key}.do`, head);
      put(todo, text ? `➜ ${text}` : '');
      const run = part('run');
      put(which, run?.id ? t('which', run) : '');
      relabel(hold, head.by_person ? 'resume' : 'hold');
      relabel(stop, 'stop');
      const over = part('run')?.finished || !state.me.orders;
      mark(hold, 'hidden', over);
      mark(stop, 'hidden', over || head.stopping);
    },
  };
}

function counts() {
  const cells = [...OUTCOMES, 'left'].map((name) => {
    const number = h('b', {});
    const label = h('span', {});
    return { name, number, label, element: h('div', { class: `count ${name}` }, h('span', { class: 'glyph', 'aria-hidden': 'true' }, SIGNS[name]), number, label) };
  });
  const bars = OUTCOMES.map((name) => h('span', { class: name }));
  const element = h('section', { class: 'counts', 'aria-label': t('counts') }, h('div', { class: 'stacked', 'aria-hidden': 'true' }, bars), cells.map((cell) => cell.element));
  return {
    element,
    update(names) {
      const totals = part('totals');
      if (!totals) return;
      for (const cell of cells) {
        put(cell.number, String(totals[cell.name]));
        put(cell.label, cell.name === 'left' ? t('count.left', totals) : t(`word.${cell.name}`));
        mark(cell.element, 'data-none', totals[cell.name] ? null : 'none');
      }
      bars.forEach((bar, number) => share(bar, totals.devices ? totals[OUTCOMES[number]] / totals.devices : 0));
    },
  };
}

function gauges() {
  const cards = ['pace', 'queue', 'oldest', 'site'].map((name) => {
    const value = h('b', {});
    const more = h('span', { class: 'more' });
    const fill = h('span', { class: 'fill' });
    const bar = name === 'site' ? h('span', { class: 'track', 'aria-hidden': 'true' }, fill) : null;
    return { value, more, fill, bar, element: h('div', { class: 'gauge', 'data-gauge': name }, h('span', { class: 'label' }, t(`gauge.${name}`)), value, bar, more) };
  });
  const [pace, queue, oldest, site] = cards;
  const element = h('section', { class: 'gauges', 'aria-label': t('gauges') }, cards.map((card) => card.element));
  const tick = () => {
    const waiting = part('queue');
    put(oldest.value, waiting?.oldest ? clock(now() - waiting.oldest.since_ms) : '–');
    put(oldest.more, waiting?.oldest ? place(waiting.oldest) : t('gauge.oldest.none'));
  };
  return {
    element,
    tick,
    update() {
      const rate = part('pace');
      put(pace.value, rate?.recent_per_h ? t('per_hour', { count: rate.recent_per_h }) : '–');
      put(pace.more, rate?.left_s && !part('run')?.finished ? t('gauge.pace.more', { left: clock(rate.left_s * 1000), at: time(Date.now() + rate.left_s * 1000) }) : '');
      const waiting = part('queue');
      put(queue.value, String(waiting?.waiting ?? 0));
      put(queue.more, t('gauge.queue.more', { unproven: waiting?.unproven ?? 0, usual: seconds(waiting?.usual_ms) }));
      const traffic = part('site');
      put(site.value, traffic ? String(traffic.left) : '–');
      put(site.more, !traffic ? t('gauge.site.unknown') : traffic.cooling_s ? t('gauge.site.cooling', { s: traffic.cooling_s }) : t('gauge.site.more', { most: traffic.most, waiting: traffic.waiting }));
      share(site.fill, traffic ? traffic.left / traffic.most : 0);
      mark(site.element, 'data-low', traffic && traffic.left < traffic.most / 10 ? 'low' : null);
      tick();
    },
  };
}

// --- stations ---

function health(view) {
  if (view.kind === 'drained') return ['bad', t('health.drained')];
  if (view.join_faults >= 2) return ['warn', t('health.faults', { count: view.join_faults })];
  return ['good', view.usual_join_s === null ? t('health.none') : t('health.good', { s: view.usual_join_s })];
}

function stations() {
  const grid = h('ul', { class: 'tiles' });
  const element = h('section', { class: 'stations' }, h('h2', {}, t('stations')), grid);
  const rows = new Map();
  const tick = () => rows.forEach((row, name) => clockOf(row, part(`station/${name}`)));
  return {
    element,
    tick,
    update(names, whole) {
      const there = named('station/');
      mark(grid, 'class', there.length > MANY ? 'tiles many' : 'tiles');
      keyed(grid, there, (name) => name, (name) => {
        const row = tile(name);
        rows.set(name, row);
        return row;
      }, (row, name) => {
        if (!row.drawn || whole || names.has(`station/${name}`)) drawTile(row, part(`station/${name}`));
      });
      for (const name of rows.keys()) if (!state.parts.has(`station/${name}`)) rows.delete(name);
    },
  };
}

function tile(name) {
  const made = { chip: h('span', { class: 'chip' }), where: h('b', { class: 'where' }), clock: h('span', { class: 'clock' }), fill: h('span', { class: 'fill' }), takt: h('span', {}), today: h('span', { class: 'today' }), health: h('span', { class: 'health' }) };
  made.element = h('li', {},
    h('a', { href: `#/station/${encodeURIComponent(name)}` },
      h('span', { class: 'row' }, h('span', { class: 'name' }, name), made.where, made.clock),
      h('span', { class: 'row' }, made.chip, made.health),
      h('span', { class: 'track', 'aria-hidden': 'true' }, made.fill),
      h('span', { class: 'row more' }, made.takt, made.today)));
  return made;
}

function drawTile(row, view) {
  row.drawn = true;
  const running = view.kind === 'running';
  mark(row.element, 'data-kind', view.kind);
  put(row.chip, running ? t(`short.${view.step}`) : t(`short.${view.kind}`));
  put(row.where, place(running ? view.here : view.board) || (running ? view.ssid : ''));
  put(row.takt, t('tile.takt', { last: seconds(view.takt_ms), hour: seconds(view.takt_hour_ms) }));
  const { pass, fail } = view.today;
  put(row.today, t('tile.today', { pass, fail, yield: percent(pass, pass + fail) }));
  const [tone, text] = health(view);
  mark(row.health, 'data-health', tone);
  put(row.health, text);
  clockOf(row, view);
}

function clockOf(row, view) {
  if (!view) return;
  const ms = view.kind === 'running' ? now() - view.began_ms : null;
  put(row.clock, ms === null ? '' : clock(ms));
  share(row.fill, ms !== null && view.usual_ms ? ms / view.usual_ms : 0);
}

// --- trays and failures ---

function trays() {
  const grid = h('ul', { class: 'minis' });
  const more = h('p', { class: 'soft' });
  const element = h('section', { class: 'traylist' }, h('h2', {}, t('trays')), grid, more);
  return {
    element,
    update(names, whole) {
      const there = named('tray/');
      keyed(grid, there, (name) => name, miniMap, (row, name) => {
        if (!row.drawn || whole || names.has(`tray/${name}`)) row.draw(part(`tray/${name}`));
      });
      const hidden = (part('run')?.trays ?? 0) - there.length;
      put(more, hidden > 0 ? t('trays.more', { count: hidden }) : '');
    },
  };
}

function failures() {
  const list = h('ul', {});
  const none = h('p', { class: 'soft' }, t('failures.none'));
  const element = h('section', { class: 'failures' }, h('h2', {}, t('failures')), none, list);
  return {
    element,
    update(names, whole) {
      if (!whole && !names.has('failures') && !names.has('redraw')) return;
      const troubles = part('failures') ?? [];
      mark(none, 'hidden', troubles.length > 0);
      keyed(list, troubles, (trouble) => `${trouble.device}${trouble.at_ms}${trouble.word}`, (trouble) => ({
        element: h('li', {},
          h('span', { class: `chip ${trouble.word.toLowerCase()}` }, t(`trouble.${trouble.word}`)),
          h('b', { class: 'where' }, trouble.device ? h('a', { href: `#/device/${trouble.device}` }, place(trouble)) : trouble.station),
          h('span', { class: 'soft' }, `${trouble.station} ${time(trouble.at)}`),
          h('span', { class: 'why' }, cause(trouble.code)),
          h('span', { class: 'todo' }, `➜ ${remedy(trouble)}`),
          trouble.bin ? h('span', { class: 'tobin' }, `${t('bin')} ${trouble.bin}`) : null),
      }), () => {});
    },
  };
}

// What to print and hang up at a station: the commands as barcodes, and a badge of whoever works here.
function codes() {
  const link = h('a', { href: '/sheet', target: '_blank', rel: 'noopener' }, t('codes'));
  return {
    element: h('section', { class: 'codes' }, link),
    update() {
      mark(link, 'href', operator() ? `/sheet?name=${encodeURIComponent(operator())}` : '/sheet');
    },
  };
}
