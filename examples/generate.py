"""Generate faces: a few lines from the bundled model to an image.

python examples/generate.py
"""

from stylegan import Generator, grid, images

G = Generator.from_pretrained()
faces = G.sample(seeds=range(16), truncation_psi=0.7)
images.save(grid(faces, columns=8), "generate.png")

# Each image keeps its settings: a saved PNG stores them as text.
faces[5].save("face5.png")
print("wrote generate.png, and face5.png with", faces[5].info)
