// A scanner is a keyboard that types fast and presses Enter. Its keys never reach a button or a field.
// Outside a field no typed text means anything else, so there it is a label however slowly it comes; inside one only
// what no person types as fast. The same rules as at the terminal (provisioner/scanner/wedge.py).

const FAST_MS = 60; // scanners send a character every 1-50 ms; a person's fastest keys are some 80 ms apart
const QUIET_MS = 300; // in a field: what comes later is another text
const OVER_MS = 800; // the end of a scan without an end; a busy computer may stop for a while in the midst of one
const TYPING_MS = 5000; // a person who types a label looks up from time to time
const LABEL_MIN = 3;
const LABEL_MAX = 256;
const ENDS = new Set(['Enter', 'Tab']);

let taken = () => {};
let text = '';
let gaps = [];
let lastAt = -Infinity;
let field = null;
let before = '';
let silence = 0;

export function scanner(callback) {
  taken = callback;
}

const isField = (element) => element instanceof HTMLInputElement;
const usual = () => gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? Infinity;
const isFast = () => gaps.length >= LABEL_MIN - 1 && usual() <= FAST_MS; // one pause of a busy computer changes nothing

function forget() {
  [text, gaps, field, lastAt] = ['', [], null, -Infinity];
  clearTimeout(silence);
}

function whole() {
  const label = text;
  if (field) field.value = before;
  forget();
  taken(label);
}

function end(event) {
  if (text.length < LABEL_MIN || (field && !isFast()) || (event.key === 'Tab' && !isFast())) return forget();
  event.preventDefault();
  event.stopImmediatePropagation();
  return whole();
}

function key(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  const gap = event.timeStamp - lastAt;
  const target = isField(event.target) ? event.target : null;
  if (gap > (target ? QUIET_MS : TYPING_MS) || target !== field) {
    forget();
    [field, before] = [target, target?.value ?? ''];
  }
  if (ENDS.has(event.key)) {
    end(event);
    return;
  }
  if (event.key.length !== 1 || (event.key === ' ' && !text && !target)) return;
  if (!target) event.preventDefault(); // within a label a blank presses no button
  if (text) gaps.push(gap);
  text = (text + event.key).slice(-LABEL_MAX);
  lastAt = event.timeStamp;
  clearTimeout(silence);
  silence = setTimeout(() => (isFast() && text.length > LABEL_MIN ? whole() : null), OVER_MS);
}

export const install = () => window.addEventListener('keydown', key, { capture: true });
