// The page: controls -> seeds or a photo, ws, noise -> canvases.

import { Generator, toPixels } from './generator.js';
import { BANDS, lerp, mixStyles, move, noiseFromSeed, noiseSize, truncate, zFromSeed } from './latents.js';
import { fromPixels } from './photo.js';
import { PhotoPanel } from './photo_panel.js';
import { writeTensors } from './tensors.js';

const at = (id) => document.getElementById(id);
const controls = at('controls');
let G;
let panel = null; // Of the photo, for models with an encoder.

function settings() {
  const number = (id) => at(id).valueAsNumber;
  return {
    photo: panel?.square,
    seedA: number('seed-a'),
    seedB: number('seed-b'),
    layers: new Set([...document.querySelectorAll('#layers input:checked')].map((box) => Number(box.value))),
    strength: number('strength'),
    psi: number('psi'),
    cutoff: number('cutoff'),
    strengths: [...document.querySelectorAll('#directions input')].map((slider) => slider.valueAsNumber),
    noise: controls.elements.noise.value,
    noiseSeed: number('noise-seed'),
    noiseStrength: number('noise-strength'),
  };
}

/** Remember the result of a function for its last arguments. */
function last(compute) {
  let key = [], value;
  return async (...given) => {
    if (given.length !== key.length || given.some((one, i) => one !== key[i])) {
      value = await compute(...given);
      key = given;
    }
    return value;
  };
}

const wsOf = (seed, psi, cutoff) =>
  G.map(zFromSeed(seed, G.config.z_dim)).then((w) => truncate(w, G.wAvg, psi, cutoff, G.config.num_ws));
const noiseOf = last((kind, seed, strength) => {
  const maps = kind === 'random' ? noiseFromSeed(seed, G.noiseConst.length) : G.noiseConst;
  return strength === 1 ? maps : maps.map((map) => map.map((value) => value * strength));
});
const faces = { a: last(wsOf), b: last(wsOf) };
const moved = (ws, ...strengths) => move(ws, G.directions, strengths);
const edited = { a: last(moved), b: last(moved) };
const encoded = last(async (square) => {
  const start = performance.now();
  const ws = await G.encode(fromPixels(square, G.config.img_channels));
  await show('photo-made', ws, G.noiseConst);
  const time = Math.max(1, Math.round(performance.now() - start));
  if (panel.square !== square) return ws; // It has been removed, or moved on.
  panel.note = `Found in ${time} ms. If your face does not fill the crop, zoom in and drag it.`;
  return ws;
});
const drawn = {};
let mixed; // The ws of the large image.

/** Make an image and show it, unless this or another canvas already has it. */
async function show(id, ws, noise) {
  const is = (there) => there && there.noise === noise && there.ws.every((row, layer) => row === ws[layer]);
  if (is(drawn[id])) return;
  const { img_resolution: size, img_channels: channels } = G.config;
  const other = Object.keys(drawn).find((key) => is(drawn[key]));
  const pixels = other ? pixelsOn(other) : toPixels(await G.synthesize(ws, noise), channels, size);
  at(id).width = at(id).height = size;
  at(id).getContext('2d').putImageData(pixels, 0, 0);
  drawn[id] = { ws, noise };
}

function pixelsOn(id) {
  const { width, height } = at(id);
  return at(id).getContext('2d').getImageData(0, 0, width, height);
}

async function render() {
  const s = settings();
  const start = performance.now();
  const noise = await noiseOf(s.noise, s.noiseSeed, s.noiseStrength);
  const plain = s.photo ? await encoded(s.photo) : await faces.a(s.seedA, s.psi, s.cutoff);
  const a = await edited.a(plain, ...s.strengths);
  const b = await edited.b(await faces.b(s.seedB, s.psi, s.cutoff), ...s.strengths);
  const towards = s.strength === 1 ? b : a.map((row, i) => lerp(row, b[i], s.strength));
  mixed = mixStyles(a, towards, s.layers);
  await show('picture', mixed, noise);
  const time = performance.now() - start;
  await show('picture-a', a, noise);
  await show('picture-b', b, noise);
  const where = G.backend === 'webgpu' ? 'the graphics card (WebGPU)' : 'the processor (WebAssembly)';
  at('status').textContent = `Made in ${Math.max(1, Math.round(time))} ms on ${where}.`;
}

// While one image is made, only the newest settings wait.
let working = false;
let waiting = false;
async function update() {
  for (const output of document.querySelectorAll('output')) output.textContent = at(output.htmlFor.value).valueAsNumber.toFixed(2) * 1;
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

/** A photo takes the place of seed A, as it is: no styles from B; or it goes, and the seed is back. */
function photoChanged() {
  const has = Boolean(panel.square);
  if (has && !at('seed-a').disabled) tick([]);
  at('seed-a').disabled = has;
  at('not-of-photos').hidden = !has;
  update();
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
      if (side === 'a') panel?.remove();
      update();
    });
  }
  tick(chosen.coarse);
  layOutDirections();
  at('noise-seed').addEventListener('focus', () => (controls.elements.noise.value = 'random'));
  controls.addEventListener('input', update);
  controls.addEventListener('submit', (event) => event.preventDefault());
  at('save').addEventListener('click', () => at('picture').toBlob((blob) => save(blob, '.png')));
  at('save-latents').addEventListener('click', saveLatents);
  const texts = [name, license && `licence of the pictures: ${license}`, attribution, limits];
  at('about').textContent = texts.filter(Boolean).join(' · ');
}

function layOutDirections() {
  at('edit').hidden = !G.directions.length;
  at('directions').replaceChildren(
    ...G.directions.map(({ name, positive, strengths }, i) => {
      const [least, most] = strengths.map((end) => Math.trunc(10 * end) / 10); // So that zero is among the steps.
      const label = document.createElement('label');
      label.className = 'slider';
      label.innerHTML = `<span></span> <output for="direction-${i}"></output>
        <input id="direction-${i}" type="range" min="${least}" max="${most}" step="0.1" value="0" />`;
      label.firstChild.textContent = positive ? `${name}: right is ${positive}` : name;
      return label;
    }),
  );
}

function saveLatents() {
  const { num_ws, w_dim, name } = G.config;
  const ws = Float32Array.from(mixed.flatMap((row) => [...row]));
  const tensors = { ws: { shape: [1, num_ws, w_dim], data: ws }, w_avg: { shape: [w_dim], data: G.wAvg } };
  const latents = JSON.stringify({ model: name, names: [stem()], facts: {} });
  save(writeTensors(tensors, { format: 'pt', stylegan_latents_version: '1', latents }), '-latents.safetensors');
}

/** The file name of the large image, without its suffix. */
function stem() {
  const { photo, seedA, seedB, layers } = settings();
  if (!layers.size) return photo ? 'photo' : `seed${seedA}`;
  return photo ? `photo-mix${seedB}` : `mix${seedA}-${seedB}`;
}

function save(blob, end) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = stem() + end;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Photos: what they need is fetched once the first faces are there. */
async function offerPhotos() {
  if (!G.hasEncoder) return;
  at('photo').hidden = false;
  panel = new PhotoPanel(G.config.img_resolution, photoChanged);
  panel.note = 'Fetching the encoder\u2026';
  try {
    await G.fetchEncoder();
    panel.enable();
  } catch (error) {
    panel.refuse(error);
  }
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
  await update();
  at('save').disabled = at('save-latents').disabled = false;
  await offerPhotos();
} catch (error) {
  fail(error);
}
