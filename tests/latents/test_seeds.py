"""Ranges of seeds: like the list of them, without the list."""

import random

import pytest

from stylegan.errors import InputError
from stylegan.latents.ranges import SeedRanges


@pytest.mark.parametrize("case", range(30))
def test_ranges_are_like_the_list_of_their_seeds(case: int) -> None:
    chance = random.Random(case)
    ranges = [range(a := chance.randrange(50), a + chance.randrange(6)) for _ in range(chance.randrange(6))]
    seeds, listed = SeedRanges(ranges), [seed for part in ranges for seed in part]
    assert len(seeds) == len(listed)
    assert list(seeds) == listed
    assert [seeds[i] for i in range(-len(listed), len(listed))] == listed * 2
    for _ in range(20):
        part = slice(*(chance.choice([None, chance.randrange(-20, 20)]) for _ in range(2)))
        assert list(seeds[part]) == listed[part]
    assert (seeds.repeated() is not None) == (len(set(listed)) < len(listed))
    if listed:
        assert list(SeedRanges.parse(str(seeds))) == listed
    with pytest.raises(IndexError):
        seeds[len(listed)]


def test_all_seeds_that_there_are_cost_nothing() -> None:
    seeds = SeedRanges.parse("0-4294967295")
    assert (len(seeds), seeds[-1], str(seeds[2**31 : 2**31 + 3])) == (2**32, 2**32 - 1, "2147483648-2147483650")
    assert seeds.repeated() is None
    assert SeedRanges.parse("7,0-4294967295").repeated() == 7


@pytest.mark.parametrize("text", ["", "a", "5-3", "1-", "-1", "1--2", "0-4294967296", "9" * 5000, "٣", "1,,2", "1.5"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="write seeds like"):
        SeedRanges.parse(text)
