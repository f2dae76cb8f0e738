// A verdict is heard too: two tones up for PASS, three low ones for FAIL, one in the middle for what is not proven.

let audio = null;
export let on = localStorage.getItem('sound') === 'on';

const TUNES = {
  pass: [[660, 0, 0.12], [990, 0.13, 0.22]],
  fail: [[196, 0, 0.2], [196, 0.26, 0.2], [147, 0.52, 0.5]],
  unproven: [[440, 0, 0.18], [415, 0.22, 0.3]],
  attention: [[523, 0, 0.1], [523, 0.16, 0.1], [523, 0.32, 0.1]],
};
const TUNE_OF = { pass: 'pass', fail: 'fail', unproven: 'unproven', stranger: 'attention', mismatch: 'attention', held: 'attention', drained: 'attention', again: 'unproven' };

// A browser lets a page sound only after a person has touched it, so this is what the button calls.
export async function turn(wanted) {
  on = wanted;
  localStorage.setItem('sound', wanted ? 'on' : 'off');
  if (wanted) {
    audio ??= new AudioContext();
    await audio.resume();
    play('pass');
  }
}

export function play(kind) {
  const tune = TUNES[TUNE_OF[kind]];
  if (!on || !tune) return;
  document.documentElement.dataset.heard = kind; // what was last heard, for tests and for the curious
  audio ??= new AudioContext();
  if (audio.state !== 'running') return;
  for (const [pitch, at, length] of tune) {
    const [tone, loudness] = [audio.createOscillator(), audio.createGain()];
    tone.type = kind === 'fail' ? 'square' : 'sine';
    tone.frequency.value = pitch;
    loudness.gain.setValueAtTime(kind === 'fail' ? 0.12 : 0.25, audio.currentTime + at);
    loudness.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + at + length);
    tone.connect(loudness).connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + length + 0.05);
  }
}
