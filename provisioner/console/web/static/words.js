// Every word of the page, in four languages, from one catalogue: words.json, and codes.json for causes and remedies.

export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español', zh: '简体中文' };
let words = {};
let codes = {};
export let language = 'en';

export async function load() {
  [words, codes] = await Promise.all(['/words.json', '/codes.json'].map(async (path) => (await fetch(path)).json()));
  const wanted = localStorage.getItem('language') ?? navigator.language.slice(0, 2);
  speak(wanted in LANGUAGES ? wanted : 'en');
}

export function speak(wanted) {
  language = wanted;
  localStorage.setItem('language', wanted);
  document.documentElement.lang = wanted === 'zh' ? 'zh-Hans' : wanted;
}

export function t(key, gaps = {}) {
  const text = words[key]?.[language] ?? words[key]?.en ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => gaps[name] ?? '');
}

export const cause = (code) => codes[code]?.[language]?.[0] ?? codes[code]?.en[0] ?? code.replaceAll('_', ' ');

// The remedy in the reader's language; where the program said something else than usual, its own words.
export function remedy(trouble) {
  const known = codes[trouble.code];
  if (!known) return trouble.remedy;
  if (language === 'en' && trouble.remedy && trouble.remedy !== known.en[1]) return trouble.remedy;
  return known[language]?.[1] ?? trouble.remedy;
}

export const clock = (ms) => {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (number) => String(number).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
};

export const seconds = (ms) => (ms === null || ms === undefined ? '–' : ms < 99500 ? `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s` : clock(ms));

export const time = (unixMs) => new Date(unixMs).toLocaleTimeString(language === 'zh' ? 'zh-CN' : language, { hour: '2-digit', minute: '2-digit' });

export const percent = (share, whole) => (whole ? `${((100 * share) / whole).toFixed(share === whole ? 0 : 1)} %` : '–');

export const place = (where) => (where?.tray ? `${where.tray} / ${where.slot ?? '?'}` : where?.device ? `…${where.device.slice(-6)}` : '');
