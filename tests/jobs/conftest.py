"""A job of a tiny network."""

import pytest

from stylegan.jobs import Job

from ..conftest import tiny_generator


@pytest.fixture(scope="module")
def job() -> Job:
    G = tiny_generator()
    G.metadata["name"] = "tiny"
    return Job(G=G)
