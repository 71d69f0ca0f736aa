"""The compiled kernels of stylegan.fast: a library in plain C, loaded by ctypes, so that one wheel serves every Python.

STYLEGAN_KERNELS says what is built:
    auto     the kernels where they compile, else a wheel without them; the default
    require  the kernels, or the build fails
    none     a wheel without them, for every platform; the default on Windows, where the kernels would lack threads
             (its OpenMP runtime has no GOMP_parallel) and Microsoft's compiler lacks their vectors
"""

import os
import re
import sys
from configparser import ConfigParser
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

CHOICES = ("auto", "require", "none")
KERNELS = os.environ.get("STYLEGAN_KERNELS") or ("none" if sys.platform == "win32" else "auto")
if KERNELS not in CHOICES:
    raise SystemExit(f"STYLEGAN_KERNELS is {KERNELS!r}; expected one of {', '.join(CHOICES)}")

FLAGS = ["-O2", "-std=gnu11", "-fvisibility=hidden", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]

LIBRARY = Extension(
    "stylegan.fast._kernels",
    [f"stylegan/fast/{name}.c" for name in ("kernels", "style", "direct", "winograd", "gradients")],
    depends=[
        f"stylegan/fast/{name}.h" for name in ("common", "convolution", "epilogue", "products", "tiles", "transforms")
    ],
    extra_compile_args=[*FLAGS, "-Wno-psabi"],
    optional=KERNELS == "auto",
)


class BuildLibrary(build_ext):
    """Builds it under a name that no version of Python is part of."""

    def get_ext_filename(self, fullname: str) -> str:
        """The path of the library of this module."""
        return os.path.join(*fullname.split(".")) + ".so"


class BuildWheel(bdist_wheel):
    """Tags a wheel by what is in it: the kernels for one platform, or nothing that depends on one."""

    def get_tag(self) -> tuple[str, str, str]:
        """What the name of the wheel says of Python, its interface and the platform."""
        build = self.get_finalized_command("build_ext")
        self.root_is_pure = not any(Path(path).is_file() for path in build.get_outputs())
        return ("py3", "none", "any" if self.root_is_pure else super().get_tag()[2])


def long_description() -> str:
    """README.md for the package's page, which needs whole addresses of pictures and links."""
    config = ConfigParser()
    config.read("setup.cfg", encoding="utf-8")
    source = re.search(r"^Source = (.+)$", config["metadata"]["project_urls"], re.MULTILINE)[1]
    text = Path("README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\])\((?!\w+:)", rf"\1({source}/raw/main/", text)
    return re.sub(r"(\])\((?!\w+:|#)", rf"\1({source}/blob/main/", text)


setup(
    long_description=long_description(),
    long_description_content_type="text/markdown",
    ext_modules=[] if KERNELS == "none" else [LIBRARY],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": BuildWheel},
)
