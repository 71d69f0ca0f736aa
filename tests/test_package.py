"""The package as people install it: archives, import, layers of the source, safety of the source."""

import ast
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

SOURCES = sorted((ROOT / "stylegan").rglob("*.py"))

SAMPLE = """
import stylegan, pathlib
from stylegan.weights import manifest
G = stylegan.Generator.from_pretrained()
image = G.sample(seeds=[5])[0]
assert image.size == (G.img_resolution, G.img_resolution)
assert (pathlib.Path(stylegan.__file__).parent / "py.typed").is_file() or ".zip" in stylegan.__file__
print(stylegan.__file__)
"""


def python(script: str, *paths: Path, cwd: Path) -> str:
    """Run a script in another process, with the package from these paths alone."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


def pip_install(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True, cwd=target.parent)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what git tracks, as a zip archive of the repository holds it: symbolic links become small files."""
    folder = tmp_path_factory.mktemp("checkout") / "stylegan-main"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if names.returncode:
        pytest.skip("not a git checkout")
    for name in names.stdout.splitlines():
        source = ROOT / name
        if name.startswith("tests/") or not (source.exists() or source.is_symlink()):
            continue
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(os.readlink(source).encode() if source.is_symlink() else source.read_bytes())
    return folder


@pytest.fixture(scope="session")
def archives(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the source archive, the wheel built from the source archive."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(checkout)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.suffix: path for path in out.iterdir()}


def test_the_wheel_holds_the_manifest_the_weights_and_the_marker(archives: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(archives[".whl"]).namelist())
    bundled = {f.source.location for entry in manifest.entries().values() if entry.is_bundled for f in entry.files}
    assert {"stylegan/weights_manifest.json", "stylegan/py.typed", "stylegan/demo/page.css"} <= names
    assert {f"stylegan/{location}" for location in bundled} <= names
    assert {
        "stylegan/assets/directions-faces-64.safetensors",
        "stylegan/assets/directions-faces-128.safetensors",
    } <= names
    assert not [name for name in names if not name.startswith(("stylegan/", "stylegan-"))]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_wheel_holds_the_compiled_kernels_and_the_source_archive_their_source(archives: dict[str, Path]) -> None:
    assert any("fast/_kernels" in name for name in zipfile.ZipFile(archives[".whl"]).namelist())
    with tarfile.open(archives[".gz"]) as archive:
        sources = {Path(name).name for name in archive.getnames() if "/stylegan/fast/" in name}
    assert {"kernels.c", "winograd.c", "gradients.c", "common.h"} <= sources


def test_without_a_compiler_it_installs_and_makes_images_all_the_same(
    archives: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "false")
    target = tmp_path / "site"
    target.mkdir()
    pip_install(archives[".gz"], target)
    assert not list(target.glob("stylegan/fast/_kernels*"))
    assert str(target) in python(SAMPLE, target, cwd=tmp_path)


@pytest.mark.parametrize("kind", [".whl", ".gz", "zip"])
def test_installed_archives_make_an_image(archives: dict[str, Path], checkout: Path, tmp_path: Path, kind: str) -> None:
    """The wheel, the source archive, and a zip of the repository."""
    source = archives.get(kind)
    if source is None:
        source = tmp_path / "stylegan-main.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in checkout.rglob("*"):
                archive.write(path, path.relative_to(checkout.parent))
    target = tmp_path / "site"
    target.mkdir()
    pip_install(source, target)
    assert str(target) in python(SAMPLE, target, cwd=tmp_path)


def test_the_wheel_works_unpacked_nowhere(archives: dict[str, Path], tmp_path: Path) -> None:
    """Imported straight from the archive, as a zipped application would."""
    archive = tmp_path / "stylegan.zip"
    archive.write_bytes(archives[".whl"].read_bytes())
    assert str(archive) in python(SAMPLE, archive, cwd=tmp_path)


def test_the_manifest_on_top_is_the_one_inside() -> None:
    top = ROOT / "weights_manifest.json"
    if not top.is_symlink():
        pytest.skip("a checkout without symbolic links")
    assert os.readlink(top) == "stylegan/weights_manifest.json"


def test_import_touches_neither_network_nor_caches_and_adds_little(tmp_path: Path) -> None:
    script = """if True:
        import sys
        import torch, numpy, PIL.Image
        touched, before = [], set(sys.modules)
        def watch(event, args):
            if event.startswith("socket.") or event in ("os.mkdir", "os.rename", "os.remove"):
                touched.append((event, args))
            if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
                touched.append((event, args))
        sys.dont_write_bytecode = True
        sys.addaudithook(watch)
        import stylegan
        for name in stylegan.__all__:
            getattr(stylegan, name)
        assert not touched, touched
        new = {name.split(".")[0] for name in set(sys.modules) - before}
        others = new - {name.split(".")[0] for name in before} - set(sys.stdlib_module_names)
        assert others == {"stylegan", "safetensors", "filelock"}, others
        assert not torch.cuda.is_initialized()
    """
    python(script, ROOT, cwd=tmp_path)


# Each room may import those before it; the entry points stand above all.
ROOMS = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE)
ORDER = [*ROOMS, "__init__", "__main__"]


def test_modules_and_names_are_there_after_import_and_listed() -> None:
    script = """if True:
        import stylegan
        assert "torch" not in __import__("sys").modules
        for name in ("figures", "animation", "editing", "metrics", "training", "projection", *stylegan.__all__):
            assert name in dir(stylegan), name
            assert getattr(stylegan, name) is not None
        assert stylegan.figures.style_mixing and stylegan.animation.interpolate and stylegan.editing.sefa
        assert stylegan.Generator is stylegan.generator.Generator
        assert not hasattr(stylegan, "figure")
        from stylegan import *
        assert Generator is stylegan.Generator
    """
    python(script, ROOT, cwd=ROOT)


@pytest.mark.parametrize("room", ["metrics", "editing", "extractors", "projection"])
def test_what_studies_a_model_loads_no_training(room: str) -> None:
    script = f"""if True:
        import sys
        import stylegan.{room} as room
        for name in dir(room):
            getattr(room, name)
        if "{room}" == "metrics":
            from stylegan.metrics.names import definitions
            assert definitions()
        assert not [name for name in sys.modules if name.startswith("stylegan.training")]
    """
    python(script, ROOT, cwd=ROOT)


def imported_units(path: Path) -> set[str]:
    """The units of the package that a file imports."""
    units = set()
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        units |= {name.split(".")[1] for name in names if name.startswith("stylegan.")}
    return units


def unit_of(path: Path) -> str:
    """The room of a file; an entry point stands above all else, in whatever folder it is."""
    return path.stem if path.stem == "__main__" else path.relative_to(ROOT / "stylegan").parts[0].removesuffix(".py")


def test_imports_point_one_way() -> None:
    rank = {room: i for i, room in enumerate(ORDER)}
    for path in SOURCES:
        for other in imported_units(path) - {unit_of(path)}:
            assert rank[other] < rank[unit_of(path)], f"{path.name} ({unit_of(path)}) imports {other}"


def test_the_architecture_names_every_room() -> None:
    present = {unit_of(path) for path in SOURCES} - {"__init__", "__main__"}
    assert present == set(ROOMS)


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / "stylegan" / room).is_dir()])
def test_a_room_imports_what_it_says(room: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "stylegan" / room / "__init__.py").read_text())) or ""
    found = re.search(r"May import: (.+?)\.$", docstring, re.DOTALL)
    assert found, f"stylegan/{room}/__init__.py does not say what the room may import"
    imported = [imported_units(path) for path in SOURCES if unit_of(path) == room]
    assert set().union(*imported) - {room} <= set(re.split(r",\s+", found[1]))


def test_the_source_never_unpickles_or_evaluates() -> None:
    forbidden_calls = {"eval", "exec", "compile", "__import__"}
    forbidden_attributes = {
        ("pickle", "load"),
        ("pickle", "loads"),
        ("pickle", "Unpickler"),
        ("torch", "load"),
        ("torch", "manual_seed"),
        ("os", "system"),
    }
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden_calls, where
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in forbidden_attributes, where
            if isinstance(node, ast.Attribute):
                assert node.attr != "extractall", where
            if isinstance(node, ast.keyword):
                assert node.arg not in ("weights_only", "allow_pickle"), where
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                assert not {"pickle", "marshal", "shelve", "dill"} & set(modules), where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", where


def test_every_public_name_has_a_docstring() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                assert node.name.startswith("_") or ast.get_docstring(node), f"{path.name}: {node.name}"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                assert node.name.startswith("_") or ast.get_docstring(node), f"{path.name}: {node.name}"
