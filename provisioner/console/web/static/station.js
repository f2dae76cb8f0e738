// The operator's screen: one thing at a time, as large as it goes, until the next board.

import { h, keyed, mark, part as share, put } from './dom.js';
import { now, part, state } from './link.js';
import { orderButton } from './acts.js';
import { board as photon, shape } from './shapes.js';
import * as sound from './sound.js';
import { cause, percent, place, remedy, seconds, t } from './words.js';

const STEPS = ['joining', 'identifying', 'claiming', 'configuring', 'connecting'];
const GLYPH = { pass: '✓', fail: '✕', unproven: '?', waiting: '…', again: '↻', stranger: '!', mismatch: '≠', skipped: '–' };
const NEXT_AFTER = new Set(['pass', 'waiting', 'fail', 'unproven']); // the hands are free
const LONG = 1.6; // so many times the usual, and it is said

export function stationView(name) {
  const stage = h('section', { class: 'stage', 'aria-live': 'assertive', 'aria-atomic': 'true' });
  const scan = h('p', { class: 'scan', role: 'alert', hidden: true });
  const aside = h('section', { class: 'aside', 'aria-label': t('aside.title') });
  const footer = h('footer', { class: 'figures' });
  const element = h('main', { class: 'station', id: 'main', tabindex: -1 }, scan, stage, aside, footer);
  const foot = figures(footer, name);
  let shown = '';
  let timers = null;
  let sounded = null;

  function update() {
    const view = part(`station/${name}`);
    if (!view) {
      const text = state.live ? t('station.unknown', { name }) : t('no_connection');
      if (shown !== text) stage.replaceChildren(h('p', { class: 'word small' }, text));
      shown = text;
      mark(stage, 'data-kind', 'starting');
      return;
    }
    const head = part('head');
    const signature = JSON.stringify([view.kind, view.board, view.trouble, view.here, view.bin, view.led, view.kind === 'finished' ? head : 0, document.documentElement.lang]);
    if (signature !== shown) {
      shown = signature;
      mark(stage, 'data-kind', view.kind === 'finished' ? `finished-${head?.tone}` : view.kind);
      timers = drawn(stage, view, head);
      const heard = `${view.kind} ${view.board?.device ?? ''} ${view.board?.at_ms ?? ''}`;
      if (sounded !== null && heard !== sounded) sound.play(view.kind);
      sounded = heard;
    }
    timers?.update(view);
    mark(scan, 'hidden', view.scan ? null : true);
    put(scan, view.scan ? `✕ ${view.scan.scanned ? `${view.scan.scanned}: ` : ''}${cause(view.scan.code)} ➜ ${remedy(view.scan)}` : '');
    drawAside(aside, view, name);
    foot(view);
    tick();
  }

  function tick() {
    const view = part(`station/${name}`);
    if (view && timers) timers.tick(view);
  }
  return { element, update, tick };
}

// --- what stands largest ---

function drawn(stage, view, head) {
  if (view.kind === 'running') return running(stage, view);
  if (view.kind === 'finished') return finished(stage, head);
  return verdict(stage, view);
}

function verdict(stage, view) {
  const { kind, board, trouble } = view;
  const timer = kind === 'waiting' ? progress() : null;
  const word = view.scans && kind === 'ready' ? t('stage.ready.scan') : t(`stage.${kind}`);
  stage.replaceChildren(
    h('div', { class: 'figure' }, kind === 'ready' || kind === 'starting' ? photon(view.led) : shape(kind)),
    h('div', { class: 'says' },
      h('h1', { class: `word${word.length > 5 ? ' small' : ''}` }, word),
      board ? h('p', { class: 'place' }, place(board) || board.ssid, h('span', { class: 'id' }, board.tray && board.device ? ` …${board.device.slice(-6)}` : '')) : null,
      trouble ? h('p', { class: 'cause' }, cause(trouble.code), trouble.station && kind === 'held' ? ` (${trouble.station})` : '') : null,
      h('p', { class: 'do' }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '➜'), h('span', {}, todo(view))),
      kind === 'fail' && trouble ? h('p', { class: 'then' }, remedy(trouble)) : null,
      view.scans && NEXT_AFTER.has(kind) ? h('p', { class: 'then' }, t('next.scan')) : null,
      timer?.element ?? null,
      trouble?.detail ? h('p', { class: 'detail' }, trouble.detail) : null),
    h('div', { class: 'side' }, bin(view.bin), kind === 'ready' || !view.led ? null : photon(view.led)));
  return {
    update: () => {},
    tick: () => timer?.set(now() - board.at_ms, part('queue')?.usual_ms),
  };
}

function todo(view) {
  if (view.scans && view.kind === 'ready') return t('todo.ready.scan');
  if (view.kind === 'fail') return view.bin ? t('todo.fail.bin', { bin: view.bin, name: t(`bin.${view.bin}`) }) : t('todo.fail');
  if (view.trouble && view.kind !== 'paused') return remedy(view.trouble);
  return t(`todo.${view.kind}`);
}

function bin(number) {
  if (!number) return null;
  return h('p', { class: 'bin', 'data-bin': number }, h('span', {}, t('bin')), h('b', {}, number), h('span', {}, t(`bin.${number}`)));
}

function running(stage, view) {
  const timer = progress();
  const where = h('p', { class: 'place' });
  const light = h('div', { class: 'side' }, photon(view.led));
  const steps = STEPS.map((step, number) => h('li', {}, h('span', { class: 'number', 'aria-hidden': 'true' }, number + 1), h('span', {}, t(`step.${step}`))));
  stage.replaceChildren(
    h('div', { class: 'says' },
      h('h1', { class: 'word small' }, t('stage.running')),
      where,
      h('p', { class: 'do' }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '➜'), h('span', {}, t('todo.running'))),
      timer.element),
    h('ol', { class: 'steps', 'aria-label': t('steps') }, steps),
    light);
  return {
    update(fresh) {
      put(where, fresh.here.device ? place(fresh.here) : fresh.ssid || '…');
      const at = STEPS.indexOf(fresh.step);
      steps.forEach((step, number) => {
        mark(step, 'data-now', number === at ? 'now' : number < at ? 'done' : 'ahead');
        mark(step, 'aria-current', number === at ? 'step' : null);
        put(step.firstChild, number < at ? '✓' : String(number + 1));
      });
    },
    tick: (fresh) => timer.set(now() - fresh.began_ms, fresh.usual_ms),
  };
}

function finished(stage, head) {
  const counts = part('totals');
  stage.replaceChildren(
    h('div', { class: 'figure' }, shape('finished')),
    h('div', { class: 'says' },
      h('h1', { class: 'word small' }, t(`head.${head.key}`, head)),
      counts ? h('p', { class: 'cause' }, `${counts.pass} ${t('word.pass')}  ·  ${counts.fail} ${t('word.fail')}  ·  ${counts.unknown} ${t('word.unknown')}`) : null,
      h('p', { class: 'do' }, h('span', { class: 'arrow', 'aria-hidden': 'true' }, '➜'), h('span', {}, head.trouble ? remedy(head.trouble) : t(`head.${head.key}.do`, head)))),
    h('div', { class: 'side' }));
  return { update: () => {}, tick: () => {} };
}

function progress() {
  const bar = h('span', { class: 'fill' });
  const text = h('span', {});
  const element = h('p', { class: 'progress' }, h('span', { class: 'track', 'aria-hidden': 'true' }, bar), text);
  return {
    element,
    set(ms, usual) {
      const elapsed = Math.floor(Math.max(0, ms) / 1000) * 1000;
      const gaps = { elapsed: seconds(elapsed < 1000 ? 0 : elapsed).replace('.0', ''), usual: seconds(usual) };
      put(text, usual ? t(ms > usual * LONG ? 'time.long' : 'time.usual', gaps) : t('time.elapsed', gaps));
      mark(element, 'data-long', usual && ms > usual * LONG ? 'long' : null);
      share(bar, usual ? ms / usual : 0);
    },
  };
}

// --- boards to take away, and the figures ---

function drawAside(element, view, name) {
  mark(element, 'hidden', view.aside.length ? null : true);
  if (!view.aside.length) return;
  if (!element.firstChild) element.append(h('h2', {}), h('ul', {}));
  const [title, list] = element.children;
  put(title, t('aside.title') + (view.aside_more ? ` (+${view.aside_more})` : ''));
  keyed(list, view.aside, (trouble) => `${trouble.device} ${trouble.at_ms} ${document.documentElement.lang}`, (trouble) => ({
    element: h('li', {},
      h('span', { class: 'chip fail' }, h('span', { 'aria-hidden': 'true' }, '✕ '), t('word.fail')),
      h('b', { class: 'where' }, place(trouble)),
      trouble.bin ? h('span', { class: 'tobin' }, `${t('bin')} ${trouble.bin} · ${t(`bin.${trouble.bin}`)}`) : null,
      h('span', { class: 'why' }, cause(trouble.code)),
      orderButton('set_aside', { ...trouble, station: name }, 'dark'),
      orderButton('rerun', { ...trouble, station: name }, 'dark')),
  }), () => {});
}

function figures(footer, name) {
  const figure = (label) => {
    const value = h('b', {});
    const more = h('span', { class: 'more' });
    footer.append(h('div', { class: 'number' }, h('span', { class: 'label' }, t(label)), value, more));
    return [value, more];
  };
  const [today, todayMore] = figure('figure.today');
  const [good, goodMore] = figure('figure.yield');
  const [takt, taktMore] = figure('figure.takt');
  const rail = h('ol', { class: 'rail', 'aria-label': t('rail') });
  footer.append(h('div', { class: 'number wide' }, h('span', { class: 'label' }, t('rail')), rail));
  return (view) => {
    const { pass, fail, unproven } = view.today;
    put(today, String(pass));
    put(todayMore, t('word.pass'));
    put(good, percent(pass, pass + fail));
    put(goodMore, t('figure.yield.more', { fail, unproven }));
    put(takt, seconds(view.takt_ms));
    put(taktMore, t('figure.takt.more', { hour: seconds(view.takt_hour_ms) }));
    keyed(rail, view.boards, (board) => `${board.device || board.ssid}${board.at_ms}`, () => {
      const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
      const where = h('span', {});
      const word = h('span', { class: 'said' });
      return { element: h('li', {}, glyph, where, word), glyph, where, word };
    }, (row, board) => {
      mark(row.element, 'data-verdict', board.verdict);
      put(row.glyph, GLYPH[board.verdict] ?? '·');
      put(row.where, place(board) || board.ssid || '—');
      put(row.word, t(`short.${board.verdict}`));
    });
  };
}
