// Measured inside the page by the browser tests.

const parse = (text) => /rgba?\(([^)]+)\)/.exec(text)?.[1].split(/[ ,/]+/).map(Number) ?? null;

function luminance(colour) {
  const [r, g, b] = colour.slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function groundOf(element) {
  for (let at = element; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor);
    if (found && (found.length < 4 || found[3] > 0.98)) return found;
  }
  return [255, 255, 255];
}

// Every text that can be seen: its contrast with the ground behind it, whether it is large, what it says, where.
export function contrasts() {
  const rows = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    const seen = node.textContent.trim() && element.checkVisibility();
    if (!seen || element.closest('svg, option, noscript, [aria-hidden]')) continue;
    const style = getComputedStyle(element);
    const [light, dark] = [luminance(parse(style.color)), luminance(groundOf(element))].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const where = element.getAttribute('class') || element.tagName;
    rows.push([(light + 0.05) / (dark + 0.05), large, node.textContent.trim().slice(0, 40), where]);
  }
  return rows;
}

// What runs out of the page to the right.
export function tooWide() {
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility() && !element.closest('svg, .rail, .skip'))
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => `${element.tagName}.${element.getAttribute('class')} ${element.textContent.slice(0, 30)}`);
}

// What can be used or looked at and has no name for somebody who does not see it.
export function nameless() {
  return [...document.querySelectorAll('button, a, select, input, [role=img], [role=grid]')]
    .filter((element) => element.checkVisibility())
    .filter((element) => !(element.ariaLabel || element.textContent.trim() || element.labels?.length))
    .map((element) => element.outerHTML);
}
