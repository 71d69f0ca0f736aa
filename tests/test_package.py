"""The package: import, layers of the source, safety of the source."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

SOURCES = sorted((ROOT / "stylegan").rglob("*.py"))


def python(script: str, *paths: Path, cwd: Path) -> str:
    """Run a script in another process, with the package from these paths alone."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_manifest_on_top_is_the_one_inside() -> None:
    top = ROOT / "weights_manifest.json"
    if not top.is_symlink():
        pytest.skip("a checkout without symbolic links")
    assert os.readlink(top) == "stylegan/weights_manifest.json"


def test_import_touches_no_network_or_cache_and_adds_little(tmp_path: Path) -> None:
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
        assert others == {"stylegan", "safetensors"}, others
        assert not torch.cuda.is_initialized()
    """
    python(script, ROOT, cwd=tmp_path)


LOADED = """
import sys
import stylegan
def loaded():
    return {name for name in sys.modules if name.split(".")[0] == "stylegan"}
stylegan.Generator
assert len(loaded()) < 45, sorted(loaded())
G = stylegan.Generator.from_pretrained()
G.sample(seeds=[1])
assert len(loaded()) < 75, sorted(loaded())
others = {"stylegan.weights.ports", "stylegan.weights.formats", "stylegan.weights.downloads", "stylegan.fast.compiled"}
assert not others & loaded()
assert not {"filelock", "huggingface_hub"} & set(sys.modules)
"""


def test_a_bundled_model_loads_no_foreign_reader_or_client() -> None:
    python(LOADED, ROOT, cwd=ROOT)


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


def test_what_studies_a_model_loads_no_training() -> None:
    script = """if True:
        import sys
        from stylegan import editing, extractors, metrics, projection
        from stylegan.metrics.names import definitions
        assert definitions()
        for room in (editing, extractors, metrics, projection):
            for name in dir(room):
                getattr(room, name)
            assert not [name for name in sys.modules if name.startswith("stylegan.training")], room
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


def imported_files(path: Path) -> set[Path]:
    """The files of the package that a file names in its imports, those for types alone included."""
    files = set()
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = ROOT.joinpath(*package[: len(package) - node.level + 1]) if node.level else ROOT
        module = base.joinpath(*(node.module or "").split(".")) if node.module else base
        for name in [module, *(module / alias.name for alias in node.names)]:
            files |= {file for file in (name.with_suffix(".py"), name / "__init__.py") if file.is_file()}
    return files & set(SOURCES) - {path, path.parent / "__init__.py"}


def test_no_file_imports_itself_by_way_of_others() -> None:
    left = {path: imported_files(path) for path in SOURCES if path.name != "__init__.py"}
    left = {path: {file for file in others if file in left} for path, others in left.items()}
    while free := [path for path, others in left.items() if not others & left.keys()]:
        for path in free:
            del left[path]
    assert not left, f"these files, or those that import them, are a circle: {sorted(map(str, left))}"


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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_file_above_300_lines_says_why(path: Path) -> None:
    text = path.read_text()
    opening = " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    assert text.count("\n") <= 300 or re.search(r"Above 300 lines, as .+\.", opening)


def test_names_of_tests_are_below_60_characters() -> None:
    for path in (ROOT / "tests").rglob("test_*.py"):
        long = [name for name in re.findall(r"def (test_\w+)", path.read_text()) if len(name) >= 60]
        assert not long, path


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
