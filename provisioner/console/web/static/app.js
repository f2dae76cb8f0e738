// The frame: what stands on every page, which page is shown, and what comes in from the run and from scanners.

import { h, mark, put } from './dom.js';
import { askName, askToken, furniture, operator, order, say, setName, tell } from './acts.js';
import { chartsView } from './charts.js';
import { deviceView } from './device.js';
import { lineView } from './line.js';
import { named, onChange, part, post, start, state, whoAmI } from './link.js';
import * as scan from './scan.js';
import * as sound from './sound.js';
import { stationView } from './station.js';
import { trayView, traysView } from './trays.js';
import { LANGUAGES, language, load, speak, t } from './words.js';

let view = null;
let frame = null;
let waiting = new Set();
let whole = true;
let asked = false;

const ROUTES = [
  [/^#\/station\/(.+)$/, (name) => stationView(name)],
  [/^#\/tray\/([^/]+)(?:\/(\d+))?$/, (name, slot) => trayView(name, slot)],
  [/^#\/trays$/, () => traysView()],
  [/^#\/charts$/, () => chartsView()],
  [/^#\/device\/(.+)$/, (text) => deviceView(text)],
];

function route() {
  for (const [pattern, make] of ROUTES) {
    const found = pattern.exec(location.hash);
    if (found) return make(...found.slice(1).map((text) => text && decodeURIComponent(text)));
  }
  return lineView();
}

function header() {
  const links = { line: h('a', { href: '#/' }), trays: h('a', { href: '#/trays' }), charts: h('a', { href: '#/charts' }) };
  const choice = h('select', { onchange: () => (location.hash = choice.value ? `#/station/${encodeURIComponent(choice.value)}` : '#/') });
  const live = h('span', { class: 'live', role: 'status' });
  const who = h('button', { class: 'quiet', onclick: askName });
  const noise = h('button', { class: 'quiet', onclick: () => sound.turn(!sound.on).then(draw) });
  const tongue = h('select', { onchange: () => change(tongue.value) }, Object.entries(LANGUAGES).map(([code, name]) => h('option', { value: code }, name)));
  const element = h('header', { class: 'top' },
    h('a', { class: 'skip', href: '#main', onclick: (event) => { event.preventDefault(); document.getElementById('main')?.focus(); } }, t('skip')),
    h('nav', {}, links.line, choice, links.trays, links.charts), h('span', { class: 'space' }), live, who, noise, tongue);
  function draw() {
    for (const [name, link] of Object.entries(links)) {
      put(link, t(`nav.${name}`));
      mark(link, 'aria-current', (location.hash || '#/') === link.getAttribute('href') ? 'page' : null);
    }
    const there = named('station/');
    const known = ['', ...there].join('\n');
    if (choice.known !== known + language) {
      choice.known = known + language;
      choice.replaceChildren(h('option', { value: '' }, t('nav.station')), ...there.map((name) => h('option', { value: name }, name)));
    }
    choice.value = decodeURIComponent(/^#\/station\/(.+)$/.exec(location.hash)?.[1] ?? '');
    mark(choice, 'aria-label', t('nav.station'));
    mark(tongue, 'aria-label', t('language'));
    tongue.value = language;
    mark(live, 'data-live', state.live ? 'live' : 'lost');
    put(live, state.live ? t('live') : t('lost'));
    put(who, operator() || t('who.nobody'));
    put(noise, sound.on ? t('sound.on') : t('sound.off'));
    mark(noise, 'aria-pressed', String(sound.on));
  }
  return { element, draw };
}

// Nothing on the screen may look alive when it is not.
function veil() {
  const word = h('b', {});
  const text = h('span', {});
  const element = h('div', { class: 'veil', role: 'alert', hidden: true }, word, text);
  return {
    element,
    draw() {
      mark(element, 'hidden', state.live ? true : null);
      if (state.live) return;
      put(word, state.needsToken ? t('token.title') : state.ended || part('run')?.finished ? t('ended') : t('no_connection'));
      put(text, state.needsToken ? t('token.text') : state.ended || part('run')?.finished ? t('ended.text') : t('no_connection.text'));
    },
  };
}

let top = null;
let cover = null;

function build() {
  top = header();
  cover = veil();
  view = route();
  document.body.replaceChildren(top.element, cover.element, view.element, ...furniture());
  document.body.dataset.page = /^#\/(\w*)/.exec(location.hash)?.[1] || 'line';
  waiting.add('redraw');
  whole = true;
  schedule();
}

function change(wanted) {
  speak(wanted);
  build();
}

function schedule() {
  frame ??= requestAnimationFrame(() => {
    frame = null;
    const [names, all] = [waiting, whole];
    [waiting, whole] = [new Set(), false];
    top.draw();
    cover.draw();
    view.update(names, all);
    if (state.needsToken && !asked) {
      asked = true;
      askToken();
    }
  });
}

async function scanned(text) {
  const at = /^#\/station\/(.+)$/.exec(location.hash)?.[1];
  const station = at ? decodeURIComponent(at) : '';
  if (state.me.scans === undefined) await whoAmI().catch(() => {});
  if (!state.me.scans) return lookUp(text);
  if (!state.me.acts && station) await askToken();
  if (!state.me.acts) return lookUp(text);
  const answer = await post('/api/scan', { text, station, operator: operator() });
  if (answer.operator) setName(answer.operator);
  if (answer.look) return lookUp(text);
  return tell(answer, '');
}

function lookUp(text) {
  const slot = /^([A-Za-z0-9._-]{1,32})\/(\d{1,4})$/.exec(text.trim());
  location.hash = slot ? `#/tray/${encodeURIComponent(slot[1])}/${slot[2]}` : `#/device/${encodeURIComponent(text.trim())}`;
}

async function boot() {
  const given = /^#token=([^&]+)/.exec(location.hash);
  if (given) {
    localStorage.setItem('token', given[1]);
    history.replaceState(null, '', '#/');
  }
  await load();
  build();
  onChange((names, all) => {
    names.forEach((name) => waiting.add(name));
    whole ||= all;
    schedule();
  });
  window.addEventListener('hashchange', build);
  window.addEventListener('name', schedule);
  setInterval(() => view.tick?.(), 1000);
  scan.scanner(scanned);
  scan.install();
  start();
}

boot();
