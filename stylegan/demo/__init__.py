"""The demo: the generator in a web page of this computer (extra `demo`: Gradio).

`studio` makes the images and `photo` reads photos, without any web code; `page` is the layout; `server` limits what
clients may do.

May import: errors, runtime, images, weights, latents, generator, encoder, projection.
"""

from .server import serve
from .studio import Look, Studio

__all__ = ["Look", "Studio", "serve"]
