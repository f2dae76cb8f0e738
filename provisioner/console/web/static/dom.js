// Elements from plain data. Text is only ever set as text: what comes from a device or the air cannot become markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, kids) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  add(element, ...kids);
  return element;
}

export function add(element, ...kids) {
  for (const kid of kids.flat(Infinity)) {
    if (kid === null || kid === undefined || kid === false) continue;
    element.append(kid instanceof Node ? kid : document.createTextNode(kid));
  }
  return element;
}

export const h = (tag, attributes = {}, ...kids) => fill(document.createElement(tag), attributes, kids);
export const s = (tag, attributes = {}, ...kids) => fill(document.createElementNS(SVG, tag), attributes, kids);

// The next three touch the document only where something differs: a shift is a million updates.
export function put(element, text) {
  if (element.shownText !== text) {
    element.shownText = text;
    element.textContent = text;
  }
}

export function mark(element, name, value) {
  const text = value === null || value === undefined || value === false ? null : String(value);
  if (element.getAttribute(name) === text) return;
  if (text === null) element.removeAttribute(name);
  else element.setAttribute(name, text);
}

export function part(element, fraction) {
  const percent = `${Math.round(Math.max(0, Math.min(1, fraction)) * 1000) / 10}%`;
  if (element.style.width !== percent) element.style.width = percent;
}

// One element for each key, in their order; made, moved and removed as the keys change.
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.keyedRows ?? (parent.keyedRows = new Map());
  const seen = new Set();
  let before = null;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let row = known.get(key);
    if (!row) known.set(key, (row = make(item)));
    update(row, item);
    const wanted = before ? before.nextSibling : parent.firstChild;
    if (wanted !== row.element) parent.insertBefore(row.element, wanted);
    before = row.element;
  }
  for (const [key, row] of known) {
    if (!seen.has(key)) {
      row.element.remove();
      known.delete(key);
    }
  }
}
