// From seeds to ws, and changes of ws, as in stylegan/latents: pure functions on Float32Arrays.

import { RandomState } from './random.js';

// The bands of the paper's style mixing: 4x4 to 8x8, 16x16 to 32x32, and 64x64 up.
export const BANDS = { coarse: [0, 4], middle: [4, 8], fine: [8, Infinity] };

/** The latent of a seed: z_dim numbers. */
export function zFromSeed(seed, zDim) {
  return new RandomState(seed).normals(zDim);
}

/** Height and width of the noise map of a layer. */
export function noiseSize(layer) {
  return 2 ** (Math.floor(layer / 2) + 2);
}

/** The noise maps of a seed, one for each layer. */
export function noiseFromSeed(seed, numLayers) {
  const state = new RandomState(seed);
  return Array.from({ length: numLayers }, (_, i) => state.normals(noiseSize(i) ** 2));
}

/** One w for each layer, moved towards the average: w_avg + psi * (w - w_avg) below the cutoff. */
export function truncate(w, wAvg, psi, cutoff, numWs) {
  return Array.from({ length: numWs }, (_, layer) => (layer < cutoff ? lerp(wAvg, w, psi) : w));
}

/** The rows of some layers from b, the others from a. */
export function mixStyles(a, b, layers) {
  return a.map((row, layer) => (layers.has(layer) ? b[layer] : row));
}

/** Move ws along directions: ws + strength * std * vector, in the layers of each. */
export function move(ws, directions, strengths) {
  return directions.reduce((moved, { vector, std, layers: [first, stop] }, i) => {
    const step = strengths[i] * std;
    const moves = (layer) => step !== 0 && first <= layer && layer < stop;
    return moved.map((row, layer) => (moves(layer) ? row.map((value, k) => value + step * vector[k]) : row));
  }, ws);
}

/** a + t * (b - a). */
export function lerp(a, b, t) {
  return a.map((value, i) => value + t * (b[i] - value));
}
