// Renders cartoon heads to train on: DiceBear's toonHead, one for each seed, as PNGs in a folder.
//
//     node render.mjs OUT COUNT [SIZE] [FIRST]
//
// Image i follows from a hash of i: the same on every machine with the versions in package.json. Its parts are
// DiceBear's choice; its colours are drawn from ranges instead of DiceBear's short lists, which a small network cannot
// keep to. attributes.json says what each image shows (hair, eyes, clothes, colours).

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAvatar } from '@dicebear/core';
import { toonHead } from '@dicebear/collection';
import { Resvg } from '@resvg/resvg-js';

// From light to dark, and for hair from cold to warm.
const SKIN = ['f6d0b0', 'e3a97c', 'b98755', '8a5a35', '5c3829'];
const COLD_HAIR = ['e5cf98', 'a58558', '5e4a3c', '241d1c'];
const WARM_HAIR = ['e9a95c', 'b5562a', '7c3a22', '33201c'];

const [out, ...numbers] = process.argv.slice(2);
const [count, size = 64, first = 0] = numbers.map(Number);
if (!out || !(count >= 1) || !(size >= 8) || !(first >= 0)) {
  console.error('usage: node render.mjs OUT COUNT [SIZE, default 64] [FIRST seed, default 0]');
  process.exit(2);
}

const hash = (text) => createHash('sha256').update(text).digest();
const hex = (colour) => colour.map((x) => Math.round(x).toString(16).padStart(2, '0')).join('');
const rgb = (colour) => [0, 2, 4].map((k) => parseInt(colour.slice(k, k + 2), 16));
const mix = (a, b, t) => a.map((x, k) => x + t * (b[k] - x));

// At t from 0 to 1 along a row of colours.
function along(colours, t) {
  const place = t * (colours.length - 1);
  const k = Math.min(Math.floor(place), colours.length - 2);
  return mix(rgb(colours[k]), rgb(colours[k + 1]), place - k);
}

// Hue, saturation and lightness from 0 to 1.
function hsl(h, s, l) {
  const channel = (n) => {
    const k = (n + 12 * h) % 12;
    return 255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return [channel(0), channel(8), channel(4)];
}

function coloursOf(i) {
  const bytes = hash(`colours ${i}`);
  const draws = Array.from({ length: 8 }, (_, k) => bytes.readUInt32LE(4 * k) / 2 ** 32);
  const [skin, hair, warmth, clothes, clothesS, clothesL, background, backgroundL] = draws;
  return {
    skinColor: [hex(along(SKIN, skin))],
    hairColor: [hex(mix(along(COLD_HAIR, hair), along(WARM_HAIR, hair), warmth))],
    clothesColor: [hex(hsl(clothes, 0.3 + 0.5 * clothesS, 0.25 + 0.35 * clothesL))],
    backgroundColor: [hex(hsl(background, 0.7, 0.84 + 0.1 * backgroundL))],
  };
}

mkdirSync(out, { recursive: true });
const attributes = {};
for (let i = first; i < first + count; i++) {
  // DiceBear draws alike from seeds that are alike: neighbouring numbers would share hair and clothes.
  const seed = hash(String(i)).toString('hex');
  const avatar = createAvatar(toonHead, { seed, ...coloursOf(i), scale: 115, translateY: 6 });
  const name = `${String(i).padStart(8, '0')}.png`;
  // Drawn at twice the size: `stylegan dataset` scales down with a better filter than a renderer's.
  const png = new Resvg(avatar.toString(), { fitTo: { mode: 'width', value: 2 * size } }).render().asPng();
  writeFileSync(join(out, name), png);
  attributes[name] = avatar.toJson().extra;
}
writeFileSync(join(out, 'attributes.json'), JSON.stringify(attributes));
