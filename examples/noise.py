"""Noise inputs: the same face with other details, and what each range of layers adds (section 3.2, figures 4 and 5).

python examples/noise.py
"""

import torch

from stylegan import Generator, grid, images

G = Generator.from_pretrained()
ws = G.ws([6])

# The same face under four draws of the noise; a noise_seed makes each of them again.
draws = [G.render(ws, noise_mode="random", noise_seed=seed)[0] for seed in range(4)]

# Noise in all layers, in the fine ones (from 32x32 up), in the coarse ones, in none.
maps = G.noise(0)
fine = [None if i < 6 else noise for i, noise in enumerate(maps)]
coarse = [noise if i < 6 else None for i, noise in enumerate(maps)]
with torch.no_grad():
    parts = torch.cat([G.synthesis(ws, noise=noise) for noise in (maps, fine, coarse, [None] * len(maps))])

headings = ["all", "fine", "coarse", "none"]
images.save(grid([*images.to_pil(parts), *draws], column_headings=headings, padding=2), "noise.png")
print("wrote noise.png: above, noise in some layers; below, four draws in all of them")
