// The stream from the run, and what is known from it. It is read with fetch, because a token goes in a header.

export const state = { parts: new Map(), run: '', live: false, ended: false, needsToken: false, me: {} };

const SILENT_MS = 9500; // three beats: then what the page shows is old
const RETRY_MS = [300, 600, 1200, 2500];
const listeners = new Set();
let base = 0;
let heardAt = 0;
let giveUp = null;
let tokenGiven = () => {};

// The journal's clock, carried on by this computer's.
export const now = () => base + performance.now();
export const part = (name) => state.parts.get(name) ?? null;
export const named = (prefix) => [...state.parts.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
export const onChange = (listener) => listeners.add(listener);

const tell = (names, whole) => listeners.forEach((listener) => listener(names, whole));

export const token = () => localStorage.getItem('token') ?? '';

export async function setToken(text) {
  localStorage.setItem('token', text.trim());
  await whoAmI();
  tokenGiven();
}

export function headers(more = {}) {
  const known = token();
  return known ? { ...more, authorization: `Bearer ${known}` } : more;
}

export async function whoAmI() {
  const answer = await fetch('/api/me', { headers: headers(), cache: 'no-store' });
  state.me = await answer.json();
  state.needsToken = !state.me.looks;
  tell(new Set(['me']), false);
}

function take(message) {
  if (message.whole || message.run !== state.run) state.parts.clear();
  state.run = message.run;
  base = message.now - performance.now();
  const names = new Set();
  for (const [name, value] of Object.entries(message.parts)) {
    if (value === null && name !== 'site') state.parts.delete(name);
    else state.parts.set(name, value);
    names.add(name);
  }
  tell(names, message.whole);
}

function hear(block) {
  let event = '';
  let data = '';
  for (const line of block.split('\n')) {
    if (line.startsWith('event: ')) event = line.slice(7);
    else if (line.startsWith('data: ')) data = line.slice(6);
  }
  if (event === 'parts') take(JSON.parse(data));
  else if (event === 'beat') base = JSON.parse(data).now - performance.now();
  else if (event === 'bye') state.ended = true;
}

async function listen() {
  const aborter = new AbortController();
  giveUp = () => aborter.abort();
  const answer = await fetch('/api/stream', { headers: headers(), cache: 'no-store', signal: aborter.signal });
  if (answer.status === 403) {
    state.needsToken = true;
    tell(new Set(['me']), false);
    await new Promise((resolve) => (tokenGiven = resolve));
    return;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  await whoAmI();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heardAt = performance.now();
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop();
    if (!state.live) {
      state.live = true;
      state.ended = false;
      tell(new Set(['live']), false);
    }
    blocks.forEach(hear);
  }
}

const lost = () => {
  if (!state.live) return;
  state.live = false;
  tell(new Set(['live']), false);
};

export async function start() {
  setInterval(() => {
    if (state.live && performance.now() - heardAt > SILENT_MS) {
      lost();
      giveUp?.();
    }
  }, 1000);
  for (let tries = 0; ; tries += 1) {
    try {
      await listen();
      tries = 0;
    } catch {
      // the server is away, or the network: told below, tried again
    }
    lost();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
  }
}

// What a person asks for. The answer is always words: `done`, or code and remedy.
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: 'POST',
      headers: headers({ 'content-type': 'application/json' }),
      body: JSON.stringify({ run: state.run, ...body }),
    });
    return await answer.json();
  } catch {
    return { done: false, code: 'no_connection', detail: '', remedy: '' };
  }
}

export async function ask(path) {
  try {
    const answer = await fetch(path, { headers: headers(), cache: 'no-store' });
    return await answer.json();
  } catch {
    return { done: false, code: 'no_connection', detail: '', remedy: '' };
  }
}
