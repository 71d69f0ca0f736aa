"""1,000 seeded mutations of each kind of weight file: nothing but our errors, and no hang."""

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from .fuzz import mutations, targets, try_file


@pytest.mark.parametrize(
    "kind", ["official pickle", "pickled variables", "safetensors header", "torch zip", "torch legacy", "manifest"]
)
def test_a_thousand_mutations_raise_nothing_else(kind: str, tmp_path: Path) -> None:
    target = targets(tmp_path)[kind]()
    outcomes = Counter(
        try_file(target, data, tmp_path / f"damaged{target.suffix}") for data in islice(mutations(target, 0), 1000)
    )
    assert outcomes["WeightsError"] > 0
    assert sum(outcomes.values()) - outcomes["read"] > 200  # Enough of them hit the structure.


def test_the_script_tries_every_kind(tmp_path: Path) -> None:
    assert len(targets(tmp_path)) == 6
