"""A Hugging Face Space that serves the page of `stylegan demo`."""

import os

from stylegan.cli import main

# Gradio's own variables; a Space's proxy connects on this port, at any address.
host, port = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0"), os.environ.get("GRADIO_SERVER_PORT", "7860")
main(["demo", "--host", host, "--port", port])
