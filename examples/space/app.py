"""A Space of the Hugging Face hub: the page of `stylegan demo`, as it is, for visitors."""

import os

from stylegan.cli import main

# Gradio's own variables; a Space is asked by its proxy, on this port of any address.
host, port = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), os.environ.get("GRADIO_SERVER_PORT", "7860")
main(["demo", "--host", host, "--port", port])
