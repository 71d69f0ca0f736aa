"""Noise inputs: the same face with different details, and the effect of ranges of layers (section 3.2, figures 4, 5).

python examples/noise.py
"""

import torch

from stylegan import Generator, grid, images
from stylegan.figures.noise import noise_effect
from stylegan.latents import bands

G = Generator.from_pretrained()
ws = G.ws([6])

# The same face under four draws of the noise; a noise_seed makes each of them again.
draws = [G.render(ws, noise_mode="random", noise_seed=seed)[0] for seed in range(4)]

# Noise in all layers, in the fine ones (from 64x64 up), in the others, in none.
maps = G.noise(0)
fine = bands.layer_indices("fine", G.num_ws)
in_fine = [noise if i in fine else None for i, noise in enumerate(maps)]
in_others = [None if i in fine else noise for i, noise in enumerate(maps)]
with torch.no_grad():
    parts = torch.cat([G.synthesis(ws, noise=noise) for noise in (maps, in_fine, in_others, [None] * len(maps))])

headings = ["all", "fine", "coarse", "none"]
rows = ["noise in", "adds, x4", "draws"]
tiles = [*images.to_pil(parts), *noise_effect(parts, times=4), *draws]
images.save(grid(tiles, column_headings=headings, row_headings=rows, padding=2), "noise.png")
print("wrote noise.png: noise in some layers; what it adds, 4 times as strong; four draws in all of them")
