// A scanner is a keyboard that types very fast and presses Enter. Its keys never reach a button or a field.

const GAP_MS = 60; // people need longer between two keys, scanners a few milliseconds
const LABEL_MIN = 3;
const LABEL_MAX = 256;

let typed = '';
let lastAt = -Infinity;
let field = null;
let before = '';
let taken = () => {};

export function scanner(callback) {
  taken = callback;
}

const isField = (element) => element instanceof HTMLInputElement && !element.readOnly;

function begin(target) {
  typed = '';
  field = isField(target) ? target : null;
  before = field?.value ?? '';
}

function key(event) {
  const late = event.timeStamp - lastAt > GAP_MS;
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.key === 'Enter') {
    const isScan = !late && typed.length >= LABEL_MIN;
    if (isScan) {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (field) field.value = before;
      taken(typed, event.target);
    }
    typed = '';
    return;
  }
  if (event.key.length !== 1) return;
  if (late) begin(event.target);
  else if (event.key === ' ' || !field) event.preventDefault(); // within a scan a space presses no button
  typed = (typed + event.key).slice(-LABEL_MAX);
  lastAt = event.timeStamp;
}

export const install = () => window.addEventListener('keydown', key, { capture: true });
