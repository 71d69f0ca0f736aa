"""Noise modes: each that is named is made."""

from typing import get_args

from stylegan.networks.noise import NOISE_MODES
from stylegan.runtime.choices import DRAWN_NOISE, NoiseMode


def test_every_mode_that_is_named_is_made() -> None:
    assert set(NOISE_MODES) == set(get_args(NoiseMode)) >= set(DRAWN_NOISE)
