// What a person asks of the line: every order with a name, the answer always on the screen.

import { h, put } from './dom.js';
import { post, setToken, state } from './link.js';
import { cause, remedy, t } from './words.js';

const SHOWN_MS = 12000;
const notes = h('div', { id: 'notes', role: 'status', 'aria-live': 'polite' });
const box = h('dialog', { id: 'box' });

export const furniture = () => [notes, box];
export const operator = () => localStorage.getItem('operator') ?? '';

export function say(kind, title, text = '') {
  const note = h('div', { class: `note ${kind}` },
    h('span', { class: 'glyph', 'aria-hidden': 'true' }, kind === 'good' ? '✓' : kind === 'bad' ? '✕' : '!'),
    h('div', {}, h('b', {}, title), text ? h('p', {}, text) : null),
    h('button', { class: 'quiet', 'aria-label': t('close'), onclick: () => note.remove() }, '×'));
  notes.append(note);
  const most = location.hash.startsWith('#/station/') ? 1 : 3; // a station's verdict is not to be covered
  while (notes.children.length > most) notes.firstChild.remove();
  setTimeout(() => note.remove(), SHOWN_MS);
}

// Answers come back as data; a refused one says why and what to do.
export function tell(answer, done) {
  if (answer.done && answer.code) say('good', cause(answer.code), remedy(answer));
  else if (answer.done) say('good', done);
  else say('bad', cause(answer.code), remedy(answer) || answer.detail);
  if (answer.code === 'no_token') askToken();
}

function dialog(title, ...inside) {
  box.replaceChildren(h('form', { method: 'dialog' }, h('h2', {}, title), inside));
  if (!box.open) box.showModal();
  return new Promise((resolve) => box.addEventListener('close', () => resolve(box.returnValue), { once: true }));
}

const buttons = (yes, tone = 'go') => h('div', { class: 'buttons' },
  h('button', { value: 'yes', class: tone }, yes), h('button', { value: '', class: 'plain', formnovalidate: true }, t('cancel')));

export async function askName() {
  const field = h('input', { name: 'operator', maxlength: 64, required: true, autocomplete: 'off', value: operator() });
  box.returnValue = '';
  const answer = await dialog(t('who.title'), h('label', {}, t('who.text'), field), buttons(t('ok')));
  if (answer === 'yes' && field.value.trim()) setName(field.value.trim());
  return operator();
}

export function setName(name) {
  localStorage.setItem('operator', name);
  window.dispatchEvent(new Event('name'));
}

export async function askToken() {
  const field = h('input', { name: 'token', required: true, autocomplete: 'off', spellcheck: 'false' });
  box.returnValue = '';
  const answer = await dialog(t('token.title'), h('label', {}, t('token.text'), field), buttons(t('ok')));
  if (answer === 'yes' && field.value.trim()) await setToken(field.value);
}

async function confirmed(act, about) {
  box.returnValue = '';
  const answer = await dialog(t(`act.${act}`), h('p', {}, t(`act.${act}.sure`, about)), buttons(t(`act.${act}`), act === 'stop' ? 'danger' : 'go'));
  return answer === 'yes';
}

const ASKS_FIRST = new Set(['stop', 'set_aside']);

export async function order(act, about = {}) {
  if (!state.me.orders) return tell({ done: false, code: 'not_running', detail: '', remedy: '' });
  if (!state.me.acts) await askToken();
  if (!state.me.acts) return undefined;
  if (!operator() && !(await askName())) return undefined;
  const where = { place: about.tray ? `${about.tray}/${about.slot}` : (about.device ?? '') };
  if (ASKS_FIRST.has(act) && !(await confirmed(act, where))) return undefined;
  const answer = await post('/api/order', { act, operator: operator(), device: about.device ?? '', station: about.station ?? '' });
  tell(answer, t(`act.${act}.done`, where));
  return answer;
}

export const orderButton = (act, about, tone = 'plain') =>
  h('button', { class: tone, 'data-act': act, onclick: () => order(act, about) }, t(`act.${act}`));

export function relabel(button, act) {
  button.dataset.act = act;
  put(button, t(`act.${act}`));
}
