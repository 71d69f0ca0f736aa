// The page: controls -> seeds, ws, noise -> three canvases.

import { Generator, toPixels } from './generator.js';
import { BANDS, lerp, mixStyles, noiseFromSeed, noiseSize, truncate, zFromSeed } from './latents.js';

const at = (id) => document.getElementById(id);
const controls = at('controls');
let G;

function settings() {
  const number = (id) => at(id).valueAsNumber;
  return {
    seedA: number('seed-a'),
    seedB: number('seed-b'),
    layers: new Set([...document.querySelectorAll('#layers input:checked')].map((box) => Number(box.value))),
    strength: number('strength'),
    psi: number('psi'),
    cutoff: number('cutoff'),
    noise: controls.elements.noise.value,
    noiseSeed: number('noise-seed'),
    noiseStrength: number('noise-strength'),
  };
}

/** Remember the result of a function for its last arguments. */
function last(compute) {
  let key, value;
  return async (...given) => {
    if (JSON.stringify(given) !== key) {
      value = await compute(...given);
      key = JSON.stringify(given);
    }
    return value;
  };
}

const wsOf = (seed, psi, cutoff) =>
  G.map(zFromSeed(seed, G.config.z_dim)).then(({ w, wAvg }) => truncate(w, wAvg, psi, cutoff, G.config.num_ws));
const noiseOf = last((kind, seed, strength) => {
  const maps = kind === 'random' ? noiseFromSeed(seed, G.noiseConst.length) : G.noiseConst;
  return strength === 1 ? maps : maps.map((map) => map.map((value) => value * strength));
});
const faces = { a: last(wsOf), b: last(wsOf) };
const drawn = {};

/** Make a picture and show it, unless it is there already. */
async function show(id, ws, noise) {
  if (drawn[id]?.ws === ws && drawn[id]?.noise === noise) return;
  const { img_resolution: size, img_channels: channels } = G.config;
  const pixels = toPixels(await G.synthesize(ws, noise), channels, size);
  const canvas = at(id);
  canvas.width = canvas.height = size;
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  drawn[id] = { ws, noise };
}

async function render() {
  const s = settings();
  const start = performance.now();
  const noise = await noiseOf(s.noise, s.noiseSeed, s.noiseStrength);
  const a = await faces.a(s.seedA, s.psi, s.cutoff);
  const b = await faces.b(s.seedB, s.psi, s.cutoff);
  const towards = s.strength === 1 ? b : a.map((row, i) => lerp(row, b[i], s.strength));
  await show('picture', mixStyles(a, towards, s.layers), noise);
  const time = performance.now() - start;
  await show('picture-a', a, noise);
  await show('picture-b', b, noise);
  const where = G.backend === 'webgpu' ? 'the graphics card (WebGPU)' : 'the processor (WebAssembly)';
  at('status').textContent = `Made in ${Math.max(1, Math.round(time))} ms on ${where}.`;
}

// While one picture is made, only the newest settings wait.
let working = false;
let waiting = false;
async function update() {
  for (const output of document.querySelectorAll('output')) output.textContent = at(output.htmlFor.value).value;
  if (!controls.checkValidity()) return;
  waiting = true;
  if (working) return;
  working = true;
  document.body.dataset.state = 'working';
  try {
    while (waiting) {
      waiting = false;
      await render();
    }
    document.body.dataset.state = 'ready';
  } catch (error) {
    fail(error);
  }
  working = false;
}

function fail(error) {
  document.body.dataset.state = 'failed';
  at('status').textContent = `That did not work: ${error.message}`;
  console.error(error);
}

function tick(layers) {
  for (const box of document.querySelectorAll('#layers input')) box.checked = layers.includes(Number(box.value));
}

function layOut() {
  const { num_ws, name, license, attribution, limits } = G.config;
  const all = Array.from({ length: num_ws }, (_, layer) => layer);
  at('layers').replaceChildren(
    ...all.map((layer) => {
      const label = document.createElement('label');
      const size = num_ws === G.noiseConst.length ? noiseSize(layer) : '';
      label.innerHTML = `<input type="checkbox" value="${layer}" />${layer}<small>${size}</small>`;
      label.title = size ? `layer ${layer}, ${size}x${size}` : `layer ${layer}`;
      return label;
    }),
  );
  at('cutoff').max = at('cutoff').value = num_ws;
  const chosen = { none: [], all, ...Object.fromEntries(Object.entries(BANDS).map(([k, v]) => [k, all.slice(...v)])) };
  for (const button of document.querySelectorAll('#bands button')) {
    button.addEventListener('click', () => {
      tick(chosen[button.dataset.band]);
      update();
    });
  }
  for (const side of ['a', 'b']) {
    at(`new-${side}`).addEventListener('click', () => {
      at(`seed-${side}`).value = Math.floor(Math.random() * 1e5); // Few enough digits to be remembered.
      update();
    });
  }
  tick(chosen.coarse);
  at('noise-seed').addEventListener('focus', () => (controls.elements.noise.value = 'random'));
  controls.addEventListener('input', update);
  controls.addEventListener('submit', (event) => event.preventDefault());
  at('save').disabled = false;
  at('save').addEventListener('click', save);
  const texts = [name, license && `licence of the pictures: ${license}`, attribution, limits];
  at('about').textContent = texts.filter(Boolean).join(' · ');
}

function save() {
  at('picture').toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    const { seedA, seedB, layers } = settings();
    link.download = layers.size ? `mix${seedA}-${seedB}.png` : `seed${seedA}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

/** The model that the address names, or the first; the others can be chosen, which opens the page anew. */
async function chosenModel(address) {
  const names = await (await fetch('models.json')).json();
  const wanted = address.searchParams.get('model');
  const name = names.includes(wanted) ? wanted : names[0];
  at('model').replaceChildren(...names.map((other) => new Option(other, other, false, other === name)));
  at('model').hidden = names.length < 2;
  at('model').addEventListener('change', () => {
    address.searchParams.set('model', at('model').value);
    location.assign(address);
  });
  return name;
}

try {
  const address = new URL(location.href);
  G = await Generator.load(`models/${await chosenModel(address)}`, address.searchParams.get('backend'));
  layOut();
  update();
} catch (error) {
  fail(error);
}
