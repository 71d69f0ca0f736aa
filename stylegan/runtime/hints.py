"""Keyword arguments that other libraries call otherwise: an error that names ours."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

# Words of diffusers, transformers and others.
OF_FILES = {
    "torch_dtype": 'write dtype="float16"',
    "device_map": 'write device="cuda"',
    "map_location": 'write device="cuda"',
    "use_auth_token": "write token=...",
    "subfolder": 'name the file in the repository: "hf:user/repo/folder/file.safetensors"',
    "variant": 'name the file in the repository: "hf:user/repo/model.fp16.safetensors"',
    "use_safetensors": "no file is unpickled, whatever its format: leave it out",
    "trust_remote_code": "no code of a repository is run: leave it out",
}
OF_SAMPLES = {
    "seed": "write seeds=[5]",
    "psi": "write truncation_psi=0.7",
    "trunc": "write truncation_psi=0.7",
    "num_images_per_prompt": "write n=4",
    "num_images": "write n=4",
    "class_labels": "write labels=...",
    "label": "write labels=...",
    "return_dict": 'output_type is "pil", "np" or "pt"',
}
OF_NETWORKS = {
    "resolution": "write img_resolution=64",
    "size": "write img_resolution=64",
    "image_size": "write img_resolution=64",
    "channels": "write img_channels=3",
    "c_dim": "write label_dim=10",
    "num_classes": "write label_dim=10",
}


def hinted(**ours: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Have a function raise InputError for these words of others; ours: what to write in their place."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> T:
            for word in kwargs.keys() & ours.keys():
                raise InputError(f"there is no argument {word}; {ours[word]}")
            return function(*args, **kwargs)

        return checked

    return decorate
