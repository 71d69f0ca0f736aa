// The exported networks in onnxruntime-web: mapping, synthesis, encoder, and the files next to them.

import { noiseSize } from './latents.js';
import { readTensors } from './tensors.js';

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
    const G = new Generator();
    Object.assign(G, { ort, folder, config, backend });
    // One after the other: a runtime starts one session at a time.
    G.mapping = await G.#open(await G.#fetch('mapping.onnx'));
    G.wAvg = (await G.#mapped(new Float32Array(config.z_dim))).w_avg.data;
    G.synthesis = await G.#open(await G.#fetch('synthesis.onnx'));
    const noise = readTensors(await G.#fetch('noise_const.safetensors'));
    G.noiseConst = Object.keys(noise).map((_, i) => noise[`noise_${i}`]);
    G.directions = 'directions.json' in config.files ? await (await get(`${folder}/directions.json`)).json() : [];
    return G;
  }

  async #fetch(name) {
    return (await get(`${this.folder}/${name}`)).arrayBuffer();
  }

  #open(file) {
    return this.ort.InferenceSession.create(new Uint8Array(file), {
      executionProviders: [this.backend],
      logSeverityLevel: 3, // Errors alone.
    });
  }

  /** Whether there is an encoder, for photos. */
  get hasEncoder() {
    return 'encoder.onnx' in this.config.files;
  }

  /** Fetch the encoder, which starts with the first photo. */
  async fetchEncoder() {
    this.encoderFile = await this.#fetch('encoder.onnx');
  }

  /** z -> w. */
  async map(z) {
    return (await this.#mapped(z)).w.data;
  }

  #mapped(z) {
    return this.mapping.run({ z: new this.ort.Tensor('float32', z, [1, this.config.z_dim]) });
  }

  /** Rows of ws and noise maps, one for each layer -> img, [channels, H, W], nominally in [-1, 1]. */
  async synthesize(ws, noise) {
    const feeds = { ws: this.#wsTensor(ws) };
    noise.forEach((map, i) => {
      feeds[`noise_${i}`] = new this.ort.Tensor('float32', map, [1, 1, noiseSize(i), noiseSize(i)]);
    });
    return (await this.synthesis.run(feeds)).img.data;
  }

  /** img [channels, H, W] in [-1, 1] -> rows of ws, as by Encoder.encode of the library. */
  async encode(img) {
    const { num_ws, w_dim, img_channels: channels, img_resolution: size, looks } = this.config;
    this.encoder ??= await this.#open(this.encoderFile);
    this.encoderFile = null;
    const image = (data) => new this.ort.Tensor('float32', data, [1, channels, size, size]);
    let ws = Array(num_ws).fill(this.wAvg);
    for (let look = 0; look < looks; look++) {
      const current = look ? await this.synthesize(ws, this.noiseConst) : await this.#average(ws);
      const feeds = { img: image(img), current: image(current), ws: this.#wsTensor(ws) };
      const better = (await this.encoder.run(feeds)).better.data;
      ws = ws.map((_, layer) => better.slice(layer * w_dim, (layer + 1) * w_dim));
    }
    return ws;
  }

  /** The image of the average w. */
  async #average(ws) {
    this.averageImg ??= await this.synthesize(ws, this.noiseConst);
    return this.averageImg;
  }

  #wsTensor(ws) {
    const { num_ws, w_dim } = this.config;
    const flat = new Float32Array(num_ws * w_dim);
    ws.forEach((row, layer) => flat.set(row, layer * w_dim));
    return new this.ort.Tensor('float32', flat, [1, num_ws, w_dim]);
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

async function get(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response;
}
