// Puts everything that the page needs into dist/, which any web server can show: npm run build [FOLDER OF THE MODEL]

import { cp, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

const PAGE = ['index.html', 'style.css', 'main.js', 'generator.js', 'random.js', 'latents.js'];
const MODEL = ['model.json', 'mapping.onnx', 'synthesis.onnx', 'noise_const.safetensors'];
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
const model = process.argv[2] ?? join(here, 'model');

const described = await readFile(join(model, 'model.json'), 'utf8').catch(() => {
  console.error(`${model} holds no model.json; run: stylegan export --noise input --out ${model}`);
  process.exit(1);
});
if (JSON.parse(described).noise !== 'input') {
  console.error(`${model} was exported without noise inputs; run: stylegan export --noise input --out ${model} --force`);
  process.exit(1);
}

await rm(dist, { recursive: true, force: true });
await mkdir(join(dist, 'model'), { recursive: true });
await mkdir(join(dist, 'runtime'));
const copies = [
  ...PAGE.map((name) => [join(here, name), join(dist, name)]),
  ...MODEL.map((name) => [join(model, name), join(dist, 'model', name)]),
  ...RUNTIME.map((name) => [
    join(here, 'node_modules/onnxruntime-web/dist', name),
    join(dist, 'runtime', name),
  ]),
];
for (const [from, to] of copies) await cp(from, to);
console.log(`wrote ${dist}; show it: python3 -m http.server --bind 127.0.0.1 --directory ${dist}`);
