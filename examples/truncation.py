"""The truncation trick: trade variety for quality by moving w towards its average (appendix B).

python examples/truncation.py
"""

import torch

from stylegan import Generator, grid, images

G = Generator.from_pretrained()
ws = G.ws([1, 2, 4], truncation_psi=1)  # [3, num_ws, w_dim], untruncated

# All layers, from the face itself through the average to its opposite.
psis = [1.0, 0.7, 0.5, 0.0, -0.5, -1.0]
sweep = torch.stack([G.truncate(ws, psi) for psi in psis], dim=1).flatten(0, 1)
headings = [f"psi {psi:g}" for psi in psis]
images.save(grid(G.render(sweep), column_headings=headings, padding=2), "truncation.png")

# Only the coarse layers: average pose and shape, the face's own colours.
images.save(grid(G.render(G.truncate(ws, 0.0, truncation_cutoff=4)), columns=3), "truncation_coarse.png")
print("wrote truncation.png and truncation_coarse.png")
