// Puts everything that the page needs into dist/, which any web server can show: npm run build [FOLDER OF A MODEL...]

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PAGE = [
  ...['index.html', 'style.css', 'main.js', 'photo_panel.js'],
  ...['generator.js', 'latents.js', 'photo.js', 'random.js', 'tensors.js'],
];
// The runtime without WebGPU, half as large, and the one with it: a browser fetches the one that it can use.
const RUNTIME = [
  'ort.wasm.min.mjs',
  'ort-wasm-simd-threaded.mjs',
  'ort-wasm-simd-threaded.wasm',
  'ort.webgpu.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
];

const here = import.meta.dirname ?? new URL('.', import.meta.url).pathname;
const dist = join(here, 'dist');
const folders = process.argv.length > 2 ? process.argv.slice(2) : [join(here, 'model')];

/** An exported model: its name, as a name of a folder, and its files. */
async function modelIn(folder) {
  const described = await readFile(join(folder, 'model.json'), 'utf8').catch(() => {
    console.error(`${folder} holds no model.json; run: stylegan export --noise input --out ${folder}`);
    process.exit(1);
  });
  const { name, noise, files } = JSON.parse(described);
  if (noise !== 'input') {
    console.error(`${folder} was exported without noise inputs; run: stylegan export --noise input --out ${folder} --force`);
    process.exit(1);
  }
  return { name: name.replace(/[^\w.-]/g, '-'), files: ['model.json', ...Object.keys(files)] };
}

const models = new Map();
for (const folder of folders) {
  const { name, files } = await modelIn(folder);
  models.set(name, { folder, files });
}

await rm(dist, { recursive: true, force: true });
for (const name of models.keys()) await mkdir(join(dist, 'models', name), { recursive: true });
await mkdir(join(dist, 'runtime'));
await writeFile(join(dist, 'models.json'), JSON.stringify([...models.keys()]));
const copies = [
  ...PAGE.map((name) => [join(here, name), join(dist, name)]),
  ...[...models].flatMap(([model, { folder, files }]) =>
    files.map((name) => [join(folder, name), join(dist, 'models', model, name)]),
  ),
  ...RUNTIME.map((name) => [
    join(here, 'node_modules/onnxruntime-web/dist', name),
    join(dist, 'runtime', name),
  ]),
];
for (const [from, to] of copies) await cp(from, to);
console.log(`wrote ${dist}; show it: python3 -m http.server --bind 127.0.0.1 --directory ${dist}`);
