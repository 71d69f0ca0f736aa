"""What the library and the help of its commands both name: words to choose from, defaults. Nothing here needs torch."""

from typing import Literal

RenderPath = Literal["auto", "plain", "fast", "native"]  # How images are computed; see `Generator.path`.
NoiseMode = Literal["const", "random", "none"]  # See `SynthesisNetwork.forward`.
OutputType = Literal["pil", "np", "pt"]  # See `Generator.sample`.
ImageFormat = Literal["png", "jpg"]  # Of the pictures in tars; see `jobs.write_tars`.

# Of animations; see `animation.interpolate`.
Space = Literal["w", "z"]
Easing = Literal["smooth", "linear", "constant"]
NoiseKind = Literal["const", "smooth", "none"]

DEFAULT_SAMPLES_PER_TAR = 1000

# Of w, for averages, deviations and components (Karras et al. 2020, appendix D, takes as many).
SAMPLES = 10_000

# Of gradients by w far fewer will do: each of them is as many numbers as w has.
GRADIENT_SAMPLES = 2_000
