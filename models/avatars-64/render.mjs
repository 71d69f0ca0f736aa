// Renders cartoon heads to train on: DiceBear's toonHead, one for each seed, as PNGs in a folder.
//
//     node render.mjs OUT COUNT [SIZE] [FIRST]
//
// Picture i is the avatar of a hash of i: the same on every machine with the versions in package.json. attributes.json
// says what each one shows (hair, eyes, clothes, colours).

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAvatar } from '@dicebear/core';
import { toonHead } from '@dicebear/collection';
import { Resvg } from '@resvg/resvg-js';

const BACKGROUNDS = ['b6e3f4', 'c0aede', 'd1d4f9', 'ffd5dc', 'ffdfbf'];

const [out, ...numbers] = process.argv.slice(2);
const [count, size = 64, first = 0] = numbers.map(Number);
if (!out || !(count >= 1) || !(size >= 8) || !(first >= 0)) {
  console.error('usage: node render.mjs OUT COUNT [SIZE, default 64] [FIRST seed, default 0]');
  process.exit(2);
}

// DiceBear draws alike from seeds that are alike: neighbouring numbers would share hair and skin.
const seedOf = (i) => createHash('sha256').update(String(i)).digest('hex');

mkdirSync(out, { recursive: true });
const attributes = {};
for (let i = first; i < first + count; i++) {
  const avatar = createAvatar(toonHead, { seed: seedOf(i), backgroundColor: BACKGROUNDS, backgroundType: ['solid'] });
  const name = `${String(i).padStart(8, '0')}.png`;
  // Drawn at twice the size: `stylegan dataset` scales down with a better filter than a renderer's.
  const png = new Resvg(avatar.toString(), { fitTo: { mode: 'width', value: 2 * size } }).render().asPng();
  writeFileSync(join(out, name), png);
  attributes[name] = avatar.toJson().extra;
}
writeFileSync(join(out, 'attributes.json'), JSON.stringify(attributes));
