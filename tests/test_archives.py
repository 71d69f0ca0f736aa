"""The archives that people install: what the wheels and the source archive hold, and that they work."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from stylegan.weights import manifest

from .conftest import ROOT
from .test_package import SOURCES, python

SAMPLE = """
import stylegan, pathlib
from stylegan.weights import manifest
G = stylegan.Generator.from_pretrained()
image = G.sample(seeds=[5])[0]
assert image.size == (G.img_resolution, G.img_resolution)
assert (pathlib.Path(stylegan.__file__).parent / "py.typed").is_file() or ".zip" in stylegan.__file__
from stylegan.fast.native import native_kernels
print(stylegan.__file__, native_kernels() is not None)
"""


def pip_install(source: Path, target: Path, **environment: str) -> None:
    target.mkdir()
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--no-compile", "--target", str(target), str(source)]
    subprocess.run(command, check=True, cwd=target.parent, env=os.environ | environment)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, as a zip archive of the repository holds it: symbolic links become small files."""
    folder = tmp_path_factory.mktemp("checkout") / "stylegan-main"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if names.returncode:
        pytest.skip("not a git checkout")
    for name in names.stdout.splitlines():
        source = ROOT / name
        if re.match("tests/.+/", name) or not (source.exists() or source.is_symlink()):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(os.readlink(source).encode() if source.is_symlink() else source.read_bytes())
    return folder


@pytest.fixture(scope="session")
def archives(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the source archive, the wheel built from the source archive."""
    out = tmp_path_factory.mktemp("dist")
    done = build(checkout, out)
    assert done.returncode == 0, done.stderr
    return {path.suffix: path for path in out.iterdir()}


def build(source: Path, out: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *options, str(source)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def wheel_names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="session")
def source_names(archives: dict[str, Path]) -> set[str]:
    """The files of the source archive, without the folder on top."""
    with tarfile.open(archives[".gz"]) as archive:
        return {member.name.split("/", 1)[1] for member in archive.getmembers() if member.isfile()}


# What a wheel holds besides the code, and the kernels where they were compiled.
DATA = {"stylegan/weights_manifest.json", "stylegan/py.typed", "stylegan/demo/page.css", "stylegan/demo/page.js"}
DATA |= {f"stylegan/assets/{path.name}" for path in (ROOT / "stylegan/assets").iterdir()}
LICENSES = {"LICENSE", "models/LICENSES.md", "models/avatars-128/LICENSE"}


def code_of(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("stylegan/") and name.endswith(".py")}


def test_the_wheel_holds_package_weights_and_licences_alone(archives: dict[str, Path]) -> None:
    names = wheel_names(archives[".whl"])
    bundled = {f.source.location for entry in manifest.entries().values() if entry.is_bundled for f in entry.files}
    assert {f"stylegan/{location}" for location in bundled} <= DATA
    assert code_of(names) == {path.relative_to(ROOT).as_posix() for path in SOURCES}
    about = {name.partition(".dist-info/")[2] for name in names if ".dist-info/" in name}
    assert about - {"METADATA", "WHEEL", "RECORD", "top_level.txt", "entry_points.txt"} == {
        f"licenses/{name}" for name in LICENSES
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside - code_of(names) - {"stylegan/fast/_kernels.so"} == DATA
    assert archives[".whl"].stat().st_size < 25e6


def test_the_archive_holds_what_builds_the_wheel_and_no_tests(
    archives: dict[str, Path], source_names: set[str]
) -> None:
    assert code_of(source_names) == code_of(wheel_names(archives[".whl"]))
    files = {
        "c": "direct gradients kernels style winograd",
        "h": "common convolution epilogue products tiles transforms",
    }
    kernels = {f"stylegan/fast/{name}.{kind}" for kind, names in files.items() for name in names.split()}
    project = {"setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md"}
    project |= {"CITATION.cff", "SECURITY.md", "PKG-INFO"}
    rest = {name for name in source_names - code_of(source_names) if not name.startswith("stylegan.egg-info/")}
    assert rest == DATA | LICENSES | kernels | project
    assert archives[".gz"].stat().st_size < 25e6


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_wheel_with_kernels_is_for_one_platform(archives: dict[str, Path]) -> None:
    assert "stylegan/fast/_kernels.so" in wheel_names(archives[".whl"])
    assert re.fullmatch(r"stylegan-[\d.]+-py3-none-(linux|macosx)_\w+\.whl", archives[".whl"].name)
    with zipfile.ZipFile(archives[".whl"]) as archive:
        about = archive.read(next(name for name in archive.namelist() if name.endswith("/WHEEL"))).decode()
    assert "Root-Is-Purelib: false" in about
    assert about.count("Tag: py3-none-") == 1


@pytest.mark.parametrize(
    "environment", [{"STYLEGAN_KERNELS": "none"}, {"CC": "false"}], ids=["asked for", "no compiler"]
)
def test_a_wheel_without_kernels_is_for_every_platform(
    archives: dict[str, Path], environment: dict[str, str], tmp_path: Path
) -> None:
    build(unpacked_source(archives, tmp_path), tmp_path, "--wheel", **environment)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert wheel_names(wheel) == wheel_names(archives[".whl"]) - {"stylegan/fast/_kernels.so"}


def unpacked_source(archives: dict[str, Path], folder: Path) -> Path:
    """The source archive, unpacked."""
    with tarfile.open(archives[".gz"]) as archive:
        archive.extractall(folder, filter="data")
    [source] = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"CC": "false", "STYLEGAN_KERNELS": "require"}, "exit"),
        ({"STYLEGAN_KERNELS": "some"}, "expected one of"),
    ],
)
def test_a_build_fails_without_the_kernels_that_it_requires(
    archives: dict[str, Path], environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    done = build(unpacked_source(archives, tmp_path), tmp_path, "--wheel", **environment)
    assert done.returncode
    assert message in done.stdout + done.stderr


def test_the_page_on_the_index_has_whole_addresses(archives: dict[str, Path]) -> None:
    with zipfile.ZipFile(archives[".whl"]) as archive:
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA"))).decode()
    targets = re.findall(r"\]\(([^)\s]+)\)", metadata)
    assert len(targets) > 20
    assert not [target for target in targets if not re.match(r"https?://|#", target)]


@pytest.mark.parametrize("kind", [".whl", ".gz", "zip"])
def test_installed_archives_make_an_image(archives: dict[str, Path], checkout: Path, tmp_path: Path, kind: str) -> None:
    """The wheel, the source archive, and a zip of the repository: the last two without the kernels.

    The wheel has them, compiled from the source archive, which was made from what the zip holds.
    """
    source = archives.get(kind)
    if source is None:
        source = tmp_path / "stylegan-main.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in checkout.rglob("*"):
                archive.write(path, path.relative_to(checkout.parent))
    target = tmp_path / "site"
    pip_install(source, target, STYLEGAN_KERNELS="none")
    where, has_kernels = python(SAMPLE, target, cwd=tmp_path).rsplit(maxsplit=1)
    assert where.startswith(str(target))
    assert has_kernels == str(kind == ".whl" and shutil.which("cc") is not None)


def test_the_wheel_works_unpacked_nowhere(archives: dict[str, Path], tmp_path: Path) -> None:
    """Imported straight from the archive, as a zipped application would."""
    archive = tmp_path / "stylegan.zip"
    archive.write_bytes(archives[".whl"].read_bytes())
    assert str(archive) in python(SAMPLE, archive, cwd=tmp_path)
