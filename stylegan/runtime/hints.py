"""Errors for other libraries' keyword arguments that name ours."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import InputError
from .checks import shown

P = ParamSpec("P")
T = TypeVar("T")

# Words of diffusers, transformers and others; {} is the given value.
OF_FILES = {
    "torch_dtype": "write dtype={}",
    "device_map": 'write device="cuda"',
    "map_location": "write device={}",
    "use_auth_token": "write token={}",
    "pretrained_model_name_or_path": "give it first, without a name",
    "subfolder": 'name the file in the repository: "hf:user/repo/folder/file.safetensors"',
    "variant": 'name the file in the repository: "hf:user/repo/model.fp16.safetensors"',
    "use_safetensors": "no file is unpickled, whatever its format: leave it out",
    "trust_remote_code": "no code of a repository is run: leave it out",
}
OF_SAMPLES = {
    "seed": "write seeds=[{}]",
    "psi": "write truncation_psi={}",
    "trunc": "write truncation_psi={}",
    "truncation": "write truncation_psi={}",
    "num_images_per_prompt": "write n={}",
    "num_images": "write n={}",
    "num_samples": "write n={}",
    "class_labels": "write labels={}",
    "class_idx": "write labels={}",
    "label": "write labels={}",
    "return_dict": 'output_type is "pil", "np" or "pt"',
}
OF_NETWORKS = {
    "resolution": "write img_resolution={}",
    "size": "write img_resolution={}",
    "image_size": "write img_resolution={}",
    "channels": "write img_channels={}",
    "c_dim": "write label_dim={}",
    "num_classes": "write label_dim={}",
}


def hinted(*, nameless: str = "", **ours: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function raise InputError for other libraries' words; ours: what to write instead.

    nameless: for a method that takes only keyword arguments, what to write instead of positional ones; {} = the first.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            for word in kwargs.keys() & ours.keys():
                raise InputError(f"there is no argument {word}; {ours[word].format(shown(kwargs[word]))}")
            if nameless and len(args) > 1:
                raise InputError(f"arguments have names here; {nameless.format(shown(args[1]))}")
            return function(*args, **kwargs)

        return checked

    return decorate
