// From a photo to what the encoder takes: decoded, upright, over white, cropped, and scaled as Pillow does.

// As in stylegan/images/decoding.py and stylegan/projection/photos.py.
const MOST_PIXELS = 89_478_485;
const MOST_ENLARGEMENT = 4;
// Photos are kept with this shorter side at most, and this longer one, which canvases of every browser can have.
const SHORTER = 1024;
const LONGER = 8192;

/** The bytes of an image file -> its pixels, for a model of that resolution. Throws what a person can be told. */
export async function readPhoto(blob, resolution) {
  const size = await sizeOf(blob);
  if (size.width * size.height > MOST_PIXELS) {
    throw new Error(`this photo of ${size.width}x${size.height} is too large: make it smaller than 89 megapixels`);
  }
  const bitmap = await createImageBitmap(blob, { imageOrientation: 'from-image' }).catch(unreadable);
  try {
    return pixelsOf(bitmap, bitmap, resolution);
  } finally {
    bitmap.close();
  }
}

/** What a canvas can draw, such as a video -> its pixels, over white, made smaller if they are many. */
export function pixelsOf(source, { width, height }, resolution) {
  const factor = Math.min(1, SHORTER / Math.min(width, height), LONGER / Math.max(width, height));
  const least = resolution / MOST_ENLARGEMENT;
  if (Math.min(width, height) * factor < least) {
    throw new Error(
      `this photo of ${width}x${height} is too small for pictures of ${resolution}x${resolution}: ` +
        `choose one with sides of ${least} or more`,
    );
  }
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * factor);
  canvas.height = Math.round(height * factor);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** How far one can zoom into a photo. */
export function mostZoom(photo, resolution) {
  return Math.min(photo.width, photo.height) / (resolution / MOST_ENLARGEMENT);
}

/** The square of a photo at a zoom, 1 = the largest; x, y: where it lies, 0 = left and top, 1 = right and bottom. */
export function squareOf({ width, height }, { zoom, x, y }) {
  const side = Math.round(Math.min(width, height) / zoom);
  const rounded = (value) => Math.ceil(value - 0.5); // The middle of an odd rest: as the library, to the left.
  return { left: rounded((width - side) * x), top: rounded((height - side) * y), side };
}

/** A square of a photo, scaled to size x size with Lanczos' filter: first the rows, then the columns. */
export function cut(photo, { left, top, side }, size) {
  const rows = new Uint8ClampedArray(photo.height * size * 4);
  const columns = weights(left, side, photo.width, size);
  const lines = weights(top, side, photo.height, size);
  for (let y = lines[0].start; y < lines[size - 1].start + lines[size - 1].weights.length; y++) {
    columns.forEach((filter, x) => sum(rows, 4 * (y * size + x), photo.data, 4 * y * photo.width, 4, filter));
  }
  const square = new ImageData(size, size);
  lines.forEach((filter, y) => {
    for (let x = 0; x < size; x++) sum(square.data, 4 * (y * size + x), rows, 4 * x, 4 * size, filter);
  });
  return square;
}

/** A pixel as the weighted sum of others. */
function sum(target, at, source, offset, stride, { start, weights }) {
  let red = 0, green = 0, blue = 0;
  for (let i = 0, from = offset + start * stride; i < weights.length; i++, from += stride) {
    red += weights[i] * source[from];
    green += weights[i] * source[from + 1];
    blue += weights[i] * source[from + 2];
  }
  target[at] = Math.round(red);
  target[at + 1] = Math.round(green);
  target[at + 2] = Math.round(blue);
  target[at + 3] = 255;
}

/** For each of size places on a line from first, side long: where its weights of the pixels start, and the weights. */
function weights(first, side, length, size) {
  const scale = side / size;
  const wide = Math.max(1, scale);
  return Array.from({ length: size }, (_, i) => {
    const centre = first + (i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - 3 * wide + 0.5));
    const stop = Math.min(length, Math.floor(centre + 3 * wide + 0.5));
    const values = Float64Array.from({ length: stop - start }, (_, k) => lanczos((start + k + 0.5 - centre) / wide));
    const total = values.reduce((a, b) => a + b);
    return { start, weights: values.map((value) => value / total) };
  });
}

function lanczos(x) {
  const sinc = (t) => (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));
  return Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
}

/** Pixels -> img, [channels, H, W] in [-1, 1]: grey or RGB; a channel of alpha is opaque. */
export function fromPixels({ data, width, height }, channels) {
  const area = width * height;
  const img = new Float32Array(channels * area).fill(1);
  for (let i = 0; i < area; i++) {
    const rgb = data.subarray(4 * i, 4 * i + 3);
    const values = channels < 3 ? [Math.round(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2])] : rgb;
    values.forEach((value, c) => (img[c * area + i] = (value * 2) / 255 - 1));
  }
  return img;
}

/** Width and height of an image file, from its beginning: a small file may hold more pixels than there is memory. */
async function sizeOf(blob) {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  try {
    await new Promise((loaded, failed) => Object.assign(image, { onload: loaded, onerror: failed })).catch(unreadable);
    return { width: image.naturalWidth, height: image.naturalHeight };
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function unreadable() {
  throw new Error('this photo cannot be read: it is damaged, or of a format that this browser does not know');
}
