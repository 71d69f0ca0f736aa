// The exported generator in onnxruntime-web: mapping, synthesis, and the noise maps beside them.

import { noiseSize } from './latents.js';

export class Generator {
  /** Fetch model and runtime. backend: 'webgpu', 'wasm', or null = WebGPU where the browser has it. */
  static async load(folder, backend = null) {
    const config = await (await get(`${folder}/model.json`)).json();
    if (config.label_dim > 0) throw new Error(`${config.name} is conditional: this page has no choice of a class`);
    const gpu = backend !== 'wasm' && (await navigator.gpu?.requestAdapter().catch(() => null));
    if (backend === 'webgpu' && !gpu) throw new Error('this browser offers no WebGPU');
    // A graphics card that the processor imitates is slower than WebAssembly.
    if (gpu && (backend === 'webgpu' || !gpu.info?.isFallbackAdapter)) {
      try {
        return await Generator.#start(folder, config, 'webgpu');
      } catch (error) {
        if (backend === 'webgpu') throw error;
        console.info('WebGPU did not start, so WebAssembly is used:', error.message);
      }
    }
    return Generator.#start(folder, config, 'wasm');
  }

  static async #start(folder, config, backend) {
    const ort = await import(`./runtime/ort.${backend}.min.mjs`);
    ort.env.wasm.wasmPaths = new URL('./runtime/', import.meta.url).href;
    ort.env.wasm.numThreads = 1; // More need response headers that plain file servers do not send.
    const open = async (name) =>
      ort.InferenceSession.create(new Uint8Array(await (await get(`${folder}/${name}`)).arrayBuffer()), {
        executionProviders: [backend],
        logSeverityLevel: 3, // Errors alone.
      });
    const G = new Generator();
    G.ort = ort;
    G.config = config;
    G.backend = backend;
    // One after the other: a runtime starts one session at a time.
    G.mapping = await open('mapping.onnx');
    G.synthesis = await open('synthesis.onnx');
    G.noiseConst = await readNoise(`${folder}/noise_const.safetensors`);
    return G;
  }

  /** z -> { w, wAvg }. */
  async map(z) {
    const outputs = await this.mapping.run({ z: new this.ort.Tensor('float32', z, [1, this.config.z_dim]) });
    return { w: outputs.w.data, wAvg: outputs.w_avg.data };
  }

  /** Rows of ws and noise maps, one for each layer -> img, [channels, H, W], nominally in [-1, 1]. */
  async synthesize(ws, noise) {
    const { num_ws, w_dim } = this.config;
    const flat = new Float32Array(num_ws * w_dim);
    ws.forEach((row, layer) => flat.set(row, layer * w_dim));
    const feeds = { ws: new this.ort.Tensor('float32', flat, [1, num_ws, w_dim]) };
    noise.forEach((map, i) => {
      feeds[`noise_${i}`] = new this.ort.Tensor('float32', map, [1, 1, noiseSize(i), noiseSize(i)]);
    });
    return (await this.synthesis.run(feeds)).img.data;
  }
}

/** img [channels, H, W] -> the pixels of a canvas, rounded as the library does. */
export function toPixels(img, channels, size) {
  const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) {
      pixels[4 * i + c] = Math.floor(127.5 * img[(channels === 3 ? c : 0) * size * size + i] + 128);
    }
  }
  return new ImageData(pixels, size, size);
}

/** The stored noise maps: a safetensors file is the length of a JSON header, the header, and the numbers. */
async function readNoise(address) {
  const buffer = await (await get(address)).arrayBuffer();
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const count = Object.keys(header).filter((name) => name.startsWith('noise_')).length;
  return Array.from({ length: count }, (_, i) => {
    const [start, end] = header[`noise_${i}`].data_offsets;
    return new Float32Array(buffer.slice(8 + length + start, 8 + length + end));
  });
}

async function get(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}
