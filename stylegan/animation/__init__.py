"""Animation: walks between latents, frame by frame, and video files.

from stylegan import Generator, animation

walk = animation.interpolate(Generator.from_pretrained(), [1, 5, 9], num_frames=90)
animation.save_video(walk, "faces.webp", fps=30)

May import: errors, runtime, images, latents, generator.
"""

from .frames import Animation, interpolate
from .music import Music, listen
from .video import save_video
from .walks import Walk, mix_walks, seed_walk, ws_walk

__all__ = [
    "Animation",
    "Music",
    "Walk",
    "interpolate",
    "listen",
    "mix_walks",
    "save_video",
    "seed_walk",
    "ws_walk",
]
