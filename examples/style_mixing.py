"""Mix styles: coarse layers carry pose and shape, middle layers features, fine layers colour (section 3.1).

python examples/style_mixing.py
"""

from stylegan import Generator, grid, images
from stylegan.latents.bands import Layers

G = Generator.from_pretrained()
a, b = G.ws([2]), G.ws([6])  # [1, num_ws, w_dim] each

# From the second face: nothing, one band of layers, every layer from a crossover on, everything.
choices: dict[str, Layers] = {
    "a": [],
    "coarse": "coarse",
    "middle": "middle",
    "fine": "fine",
    "from 4": 4,
    "b": range(G.num_ws),
}
mixed = [G.render(G.mix_styles(a, b, layers))[0] for layers in choices.values()]
images.save(grid(mixed, column_headings=list(choices), padding=2), "style_mixing.png")

# Mixing broadcasts: every pair of 3 and 4 faces at once.
pairs = G.mix_styles(G.ws(range(3))[:, None], G.ws(range(10, 14))[None], "coarse")  # [3, 4, num_ws, w_dim]
images.save(grid(G.render(pairs.flatten(0, 1)), columns=4), "style_mixing_pairs.png")
print("wrote style_mixing.png and style_mixing_pairs.png")
