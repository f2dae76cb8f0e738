// One device's life, over all runs: what was done with it, by whom, and what the cloud showed.

import { h } from './dom.js';
import { ask, state } from './link.js';
import { orderButton } from './acts.js';
import { cause, language, remedy, t, time } from './words.js';

const LAST_WORDS = { 'device.confirmed': 'pass', 'device.carried': 'pass', 'device.failed': 'fail', 'device.refused': 'fail', 'device.unknown': 'unknown', 'device.skipped': 'skipped' };

export async function deviceCard(text) {
  const life = await ask(`/api/device/${text.split('/').map(encodeURIComponent).join('/')}`);
  if (life.done === false) return h('div', { class: 'card' }, h('h2', {}, text), h('p', {}, cause(life.code)), h('p', { class: 'soft' }, life.detail), h('p', {}, life.remedy));
  const records = life.runs.flatMap((run) => run.records);
  const last = records.findLast((record) => record.event in LAST_WORDS || record.event === 'device.reopened');
  const spot = records.findLast((record) => record.tray);
  const where = { device: life.device, tray: spot?.tray, slot: spot?.slot };
  const word = last ? LAST_WORDS[last.event] : null;
  return h('div', { class: 'card' },
    h('h2', {}, spot ? `${spot.tray} / ${spot.slot}` : text),
    h('p', { class: 'code' }, life.device, life.serial ? h('span', { class: 'soft' }, ` ${life.serial}`) : null),
    h('p', {}, h('span', { class: `chip ${word ?? 'open'}` }, word ? t(`word.${word}`) : t('cell.imported'))),
    last?.code ? h('p', {}, h('b', {}, cause(last.code)), last.remedy ? ` ➜ ${remedy(last)}` : '') : null,
    state.me.orders ? h('div', { class: 'buttons' }, orderButton('rerun', where), orderButton('set_aside', where)) : null,
    life.places.map((place) => h('p', { class: 'soft' }, t('life.listed', { place }))),
    life.runs.toReversed().map((run) => h('section', {},
      h('h3', {}, t('life.run', { run: run.run })),
      h('ol', { class: 'records' }, run.records.map(row)))));
}

function row(record) {
  const at = new Date(record.at);
  const said = [record.station, record.operator && t('life.by', { operator: record.operator }), record.ssid, record.code && cause(record.code)].filter(Boolean).join(' · ');
  const proof = record.evidence ? Object.entries(record.evidence).map(([key, value]) => `${key} ${value}`).join(', ') : '';
  return h('li', { 'data-outcome': record.outcome ?? null },
    h('time', { datetime: record.at }, at.toLocaleTimeString(language === 'zh' ? 'zh-CN' : language)),
    h('span', { class: 'event' }, record.event),
    h('span', { class: 'soft' }, said, proof ? h('span', { class: 'proof' }, proof) : null));
}

export function deviceView(text) {
  const element = h('main', { class: 'device', id: 'main', tabindex: -1 }, h('p', { class: 'soft' }, '…'));
  deviceCard(text).then((card) => element.replaceChildren(card));
  return { element, update: () => {} };
}
