"""Choices and defaults named by both the library and the help of its commands. Nothing here needs torch."""

from typing import Literal

RenderPath = Literal["auto", "plain", "fast", "native"]  # How images are computed; see `Generator.path`.
# See `networks.noise`. All commands take their choices from here.
NoiseMode = Literal["const", "random", "none"]
# Modes whose maps are drawn, from a seed or fresh for each call.
DRAWN_NOISE: tuple[NoiseMode, ...] = ("random",)
OutputType = Literal["pil", "np", "pt"]  # See `Generator.sample`.
ImageFormat = Literal["png", "jpg"]  # Of the images in tars; see `jobs.write_tars`.

# For animations; see `animation.interpolate`.
Space = Literal["w", "z"]
Easing = Literal["smooth", "linear", "constant"]
NoiseKind = Literal["const", "smooth", "none"]  # Noise in videos, which must not flicker; "smooth" is only for them.

DEFAULT_SAMPLES_PER_TAR = 1000

# Samples of w for averages, deviations and components (as many as in Karras et al. 2020, appendix D).
SAMPLES = 10_000

# For gradients with respect to w far fewer suffice: each gives as many numbers as w has.
GRADIENT_SAMPLES = 2_000

# For evaluations; see `metrics.Settings`.
DEFAULT_METRICS = "fid50k,kid50k,pr50k,ppl_w,ppl_z,ppl_wend,ppl_zend,ls"
DEFAULT_EXTRACTOR = "inception-2015"
DEFAULT_DISTANCE = "st-lpips-vgg"
DEFAULT_CLASSIFIERS = ("gender", "age")
DEFAULT_EVALUATION_NOISE: NoiseMode = "random"
