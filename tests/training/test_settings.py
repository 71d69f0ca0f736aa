"""The settings of a run: types and limits."""

from typing import Any

import pytest
import yaml

from stylegan.errors import InputError
from stylegan.training import TrainingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"presett": "F"}, "unknown setting 'presett'; did you mean 'preset'"),
        ({"preset": "G"}, "unknown preset 'G'; expected one of A, B, C"),
        ({"preset": ["F"]}, r"preset must be text; got \['F'\]"),
        ({"loss": "lsgan"}, "loss must be one of logistic, .*, hinge, or null; got 'lsgan'"),
        ({"augment": "flip"}, "augment must be one of none, diffaugment, ada; got 'flip'"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"mirror": "yes"}, "mirror must be true or false; got 'yes'"),
        ({"kimg": 0}, "kimg must be a number above 0; got 0"),
        ({"kimg": True}, "kimg must be a number above 0; got True"),
        ({"kimg": None}, "kimg must be a number above 0; got None"),
        ({"kimg": float("inf")}, "kimg must be a number above 0; got inf"),
        ({"ema_kimg": float("nan")}, "ema_kimg must be a number of 0 or more; got nan"),
        ({"generator_warmup_kimg": -1}, "generator_warmup_kimg must be a number of 0 or more; got -1"),
        ({"style_mixing_prob": 7}, "style_mixing_prob must be a number from 0 to 1, or null; got 7"),
        ({"seed": 2**32}, "seed must be a whole number from 0 to 4294967295; got 4294967296"),
        ({"z_dim": 25.5}, "z_dim must be a whole number of 1 or more; got 25.5"),
        ({"batch": "many"}, "batch must be a whole number of 1 or more, or a dictionary .* by resolution, or null"),
        ({"batch": {8: 0}}, "batch must be a whole number of 1 or more"),
        ({"batch": {9: 1}}, "batch must be a whole number of 1 or more"),
        ({"training_kimg": {"8": 1}}, "training_kimg must be a number of 0 or more, or a dictionary"),
    ],
)
def test_wrong_settings_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingConfig.of(settings)


def test_numbers_that_yaml_takes_for_text_are_numbers() -> None:
    """1e-3 has no dot."""
    settings = yaml.safe_load("{learning_rate: 1e-3, fmap_base: 1e3, r1_gamma: {8: 1e-2, 64: 0.1}, z_dim: 64.0}")
    config = TrainingConfig.of(settings)
    assert (config.learning_rate, config.r1_gamma) == (0.001, {8: 0.01, 64: 0.1})
    assert [repr(size) for size in (config.fmap_base, config.z_dim)] == ["1000", "64"]
