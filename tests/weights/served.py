"""An official file to serve, and whether what came is the same."""

import torch

from ..conftest import GOLDEN

OFFICIAL = GOLDEN / "T" / "network_nosrc.pkl"


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)
