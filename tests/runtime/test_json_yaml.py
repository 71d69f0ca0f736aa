"""Small JSON and YAML files: what is malformed, too large, too deep or of another type is one error of the reader's."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load, save

from stylegan import cli
from stylegan.cli.table import read_result
from stylegan.data.labels import read_labels
from stylegan.data.sources import Source
from stylegan.errors import CheckpointError, DatasetError, InputError, WeightsError
from stylegan.latents.directions import load_directions
from stylegan.latents.files import Latents
from stylegan.runtime.json_yaml import Limits, check_object, has_type, parse_json, parse_yaml, read_json, read_yaml
from stylegan.runtime.run_log import read_log
from stylegan.runtime.tensor_files import save_tensors
from stylegan.training import TrainingConfig
from stylegan.training.checkpoints import header, read_tensors
from stylegan.weights.checkpoint import config_from_json, load_checkpoint
from stylegan.weights.manifest import read_manifest

from ..conftest import tiny_generator

DEEP = "[" * 100_000
SMALL = Limits(bytes=1000, depth=4, values=20)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed|got None"),
        ("{", "malformed"),
        ("<html>", "malformed|got '<html>'"),
        (DEEP, "in each other|more than 1000 bytes"),
        ("[" * 400 + "]" * 400, "more than 4 lists or objects in each other"),
        ("[[[[[]]]]]", "more than 4 lists"),
        ('{"a": {"a": {"a": {"a": {}}}}}', "more than 4 lists"),
        ("[" + "1, " * 20 + "1]", "more than 20 values"),
        ("[" + " " * 1000 + "]", "more than 1000 bytes"),
        ('["\\ud800"]', "surrogates not allowed"),
        ('{"\\ud800": 1}', "surrogates not allowed|unacceptable"),
        (f"[{2**65}]", "more than 64 bits"),
    ],
)
@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_what_is_malformed_or_above_a_limit_is_one_error(parse: Callable[..., Any], text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_object(parse(text, where="x", error=DatasetError, limits=SMALL), {}, where="x", error=DatasetError)


def test_what_is_within_the_limits_is_read() -> None:
    assert parse_json('[[[[1]]], "\\u00e4", 1e3, null]', where="x", error=InputError, limits=SMALL)[1] == "ä"
    assert parse_yaml("a: [1, {b: 2}]", where="x", error=InputError, limits=SMALL) == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a]",
        "a: &a [1, 1, 1, 1]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]",
        "2001-99-99",
        "!!timestamp x",
        "!!int ''",
        "!!python/object/apply:os.system [true]",
        "0x" + "f" * 900,
        "{[]: 1}",
        "a: *b",
        "\x00",
        b"\xff\xfe\xfa",
    ],
)
def test_yaml_that_refers_to_itself_or_is_odd(text: str | bytes) -> None:
    with pytest.raises(InputError, match="x: malformed YAML"):
        parse_yaml(text, where="x", error=InputError, limits=SMALL)


def test_json_must_not_name_a_key_twice() -> None:
    with pytest.raises(WeightsError, match="twice"):
        parse_json('{"a": {"b": 1, "b": 2}}', where="x", error=WeightsError)


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_what_is_no_file_is_neither_read_nor_waited_for(tmp_path: Path, read: Callable[..., Any]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("link")
    for name in ("", "gone", "pipe", "link"):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            read(tmp_path / name, error=InputError)


def test_types() -> None:
    fits: list[tuple[Any, Any]] = [
        (1, int),
        (1, float),
        (1.5, float | None),
        (None, int | None),
        ({"a": [1]}, dict[str, list[int]]),
        ("a", Any),
    ]
    fits += [("a", Literal["a", "b"]), ([], list[str])]
    odd: list[tuple[Any, Any]] = [
        (True, int),
        (True, float),
        (1.0, int),
        (None, int),
        ([1, "a"], list[int]),
        ({"a": 1}, dict[str, str]),
    ]
    odd += [("c", Literal["a", "b"]), (1, Literal[True]), ("a", list[str]), ([], dict[str, Any])]
    assert all(has_type(value, kind) for value, kind in fits)
    assert not any(has_type(value, kind) for value, kind in odd)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected an object with size, note, got a list of 0"),
        (None, "got None"),
        ({"note": None}, "lacks 'size'"),
        ({"size": "9" * 500}, r"'size' must be int, got '9{59}\.\.\.$"),
        ({"size": 1, "note": [1, 2]}, r"'note' must be str \| None, got a list of 2"),
    ],
)
def test_an_object_must_have_fields_of_their_types(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_object(value, {"size": int, "note": str | None}, where="x", error=InputError)


# Everything in the package that reads such files.


def labels(path: Path) -> Any:
    (path.parent / "a.png").touch()
    path.rename(path.with_name("labels.json"))
    return read_labels(Source(path.parent))


READERS = {
    "config.json": (config_from_json, WeightsError),
    "manifest": (read_manifest, WeightsError),
    "settings": (TrainingConfig.load, InputError),
    "labels": (labels, DatasetError),
    "result": (lambda path: read_result(f"E={path}"), InputError),
}


@pytest.mark.parametrize("data", [b"", b"<html>", DEEP.encode(), b"\xff\x00", b"[" * 99 + b"]" * 99], ids=range(5))
@pytest.mark.parametrize(("read", "error"), READERS.values(), ids=READERS)
def test_every_reader_of_small_files_refuses_what_is_none(
    tmp_path: Path, read: Callable[..., Any], error: type[Exception], data: bytes
) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(data)
    with pytest.raises(error, match=r"file\.json|labels\.json"):
        read(path)


@pytest.mark.parametrize("text", ["", "null", "[]", DEEP, '{"model": 3}', '{"directions": [3], "model": "m"}'])
def test_headers_of_our_files(tmp_path: Path, text: str) -> None:
    G = tiny_generator()
    tensors = {"ws": G.ws([1]), "w_avg": G.w_avg, "vectors": torch.ones(1, G.w_dim)}
    for kind, read in (("latents", lambda p: Latents.load(p, G)), ("directions", load_directions)):
        path = tmp_path / f"{kind}.safetensors"
        save_tensors(path, tensors, kind=kind, description={})
        stored = load(path.read_bytes())
        path.write_bytes(save(stored, {"format": "pt", f"stylegan_{kind}_version": "1", kind: text}))
        with pytest.raises(InputError, match=f"the description of its {kind} is damaged"):
            read(path)
    path.write_bytes(save(stored, header({}) | {"counters": text}))
    with pytest.raises(CheckpointError, match="its counters are damaged"):
        read_tensors(path)
    if not text.startswith("{"):
        network = {"stylegan_format_version": "1", "network": "Generator", "config": text, "metadata": "{}"}
        path.write_bytes(save(stored, network))
        with pytest.raises(WeightsError, match="malformed"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        {"metrics": []},
        {"metrics": {"fid50k": 3}},
        {"metrics": {"fid50k": {"value": "3"}}},
        {"settings": {}},
        {"extractor": None},
        {"data": {"name": 3, "sha256": "0"}},
        {"format": "1"},
    ],
)
def test_results_of_other_types_are_no_results(tmp_path: Path, change: dict[str, Any]) -> None:
    result = {"format": 1, "metrics": {"fid50k": {"value": 3.0, "images": 50_000}}, "settings": {"num_latents": 1}}
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result))
    assert "3.00" in CliRunner().invoke(cli.main, ["table", "configurations", f"E={path}"]).output
    path.write_text(json.dumps(result | change))
    refused = CliRunner().invoke(cli.main, ["table", "configurations", f"E={path}"])
    assert refused.exit_code == 1
    assert "not a result that `stylegan evaluate --out` wrote" in refused.output


def test_a_log_ends_where_it_is_damaged(tmp_path: Path) -> None:
    line = {"step": 1, "kimg": 0.1, "resolution": 8}
    good = json.dumps(line)
    for bad in (b"null", b"[", b"\xff", DEEP.encode(), b'{"step": "1"}'):
        (tmp_path / "log.jsonl").write_bytes(good.encode() + b"\n" + bad + b"\n")
        assert read_log(tmp_path / "log.jsonl") == [line]


@pytest.mark.parametrize("value", ["[" * 5000, "2001-99-99", "!!int ''", "&a [*a]"])
def test_settings_on_the_command_line(tmp_path: Path, value: str) -> None:
    arguments = ["train", "--out", str(tmp_path), "--show-settings", "--set", f"batch={value}"]
    result = CliRunner().invoke(cli.main, arguments)
    assert (result.exit_code, type(result.exception)) == (1, SystemExit)
    assert "expected a value such as 32" in result.output


def test_nothing_else_in_the_package_parses_json_or_yaml() -> None:
    found = set()
    for path in Path(cli.__file__).parents[1].rglob("*.py"):
        text = path.read_text().replace("json.loads(json.dumps(", "")  # Data of our own, as JSON would give them back.
        if any(call in text for call in ("json.load", "yaml.safe_load", "yaml.load")):
            found.add(path.name)
    assert found == {"json_yaml.py"}
