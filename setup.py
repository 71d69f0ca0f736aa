"""The compiled kernels of stylegan.fast. They are optional: where they cannot be built, all works without them."""

from setuptools import Extension, setup

FLAGS = ["-O2", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]

setup(
    ext_modules=[
        Extension(
            "stylegan.fast._kernels",
            ["stylegan/fast/kernels.c", "stylegan/fast/winograd.c", "stylegan/fast/gradients.c"],
            depends=["stylegan/fast/common.h"],
            extra_compile_args=[*FLAGS, "-Wno-psabi"],
            optional=True,
        )
    ]
)
