"""The demo: the generator in a web page of this computer (extra `demo`: Gradio).

`studio` makes the pictures and `photo` reads photos, without any web; `page` is the layout; `server` keeps what the
network may do in bounds.

May import: errors, runtime, images, weights, latents, generator, encoder, projection.
"""

from .server import serve
from .studio import Look, Studio

__all__ = ["Look", "Studio", "serve"]
