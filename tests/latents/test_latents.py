"""Seeds, truncation and style mixing as pure functions."""

import hashlib
from typing import Any

import numpy as np
import pytest
import torch

from stylegan import mix_styles, truncate, z_from_seeds
from stylegan.errors import InputError
from stylegan.latents.bands import bands, resolutions
from stylegan.latents.seeds import noise_from_seeds
from stylegan.latents.styles import check_cutoff


def test_z_is_the_draw_of_the_official_examples() -> None:
    assert torch.equal(z_from_seeds([5])[0], torch.from_numpy(np.random.RandomState(5).randn(512)).float())


def test_z_is_pinned() -> None:
    """The same numbers on every platform, and with every version of the library."""
    digest = hashlib.sha256(z_from_seeds([0, 5, 4294967295]).numpy().astype("<f4").tobytes()).hexdigest()
    assert digest == "48208002167e415815e8af56f17569adbc11d3ff6288d4cbae507be607887b22"


def test_z_of_a_seed_does_not_depend_on_its_neighbours() -> None:
    for z_dim in (512, 3):  # Normal numbers are drawn in pairs: an odd number leaves one over.
        assert torch.equal(z_from_seeds([1, 2, 3], z_dim)[2], z_from_seeds(3, z_dim)[0])
    assert z_from_seeds([]).shape == (0, 512)


def test_noise_of_a_seed_is_pinned_at_any_size_in_any_batch() -> None:
    shapes = [(4, 4), (4, 4), (8, 8)]
    noise = noise_from_seeds([7, 8], shapes)
    assert [tuple(n.shape) for n in noise] == [(2, 1, 4, 4), (2, 1, 4, 4), (2, 1, 8, 8)]
    for both, alone in zip(noise, noise_from_seeds(8, [*shapes, (16, 16)]), strict=False):
        assert torch.equal(both[1:], alone)
    assert (
        hashlib.sha256(b"".join(n.numpy().astype("<f4").tobytes() for n in noise)).hexdigest()
        == "5233d6ee3feb47d8356d977953474fb3cad064f403556cd5b6e93ee337d5872b"
    )


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "3", None, True, [1, "2"], [0.5]])
def test_other_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(InputError, match="integer"):
        z_from_seeds(seed)


def test_numpy_and_tensor_seeds_are_taken() -> None:
    assert torch.equal(z_from_seeds(np.arange(3)), z_from_seeds(torch.arange(3)))


WS, W_AVG = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8.0)


def test_psi_one_changes_nothing() -> None:
    assert torch.equal(truncate(WS, W_AVG, 1.0), WS)


def test_psi_zero_gives_the_average() -> None:
    assert torch.equal(truncate(WS, W_AVG, 0.0), W_AVG.expand(2, 6, 8))


def test_negative_psi_gives_the_opposite() -> None:
    torch.testing.assert_close(truncate(WS, W_AVG, -1.0) - W_AVG, W_AVG - WS)


def test_cutoff_leaves_the_other_layers() -> None:
    given = truncate(WS, W_AVG, 0.5, 3)
    torch.testing.assert_close(given[:, :3], (WS[:, :3] + W_AVG) / 2)
    assert torch.equal(given[:, 3:], WS[:, 3:])
    assert torch.equal(truncate(WS, W_AVG, 0.5, 0), WS)
    assert torch.equal(truncate(WS, W_AVG, 0.5, 6), truncate(WS, W_AVG, 0.5))


def test_psi_for_each_layer_and_image() -> None:
    psi = torch.rand(2, 6)
    torch.testing.assert_close(truncate(WS, W_AVG, psi), W_AVG + (WS - W_AVG) * psi[..., None])
    by_layer = [0, 0, 0, 1, 1, 1]
    assert torch.equal(truncate(WS, W_AVG, by_layer), truncate(WS, W_AVG, 0.0, 3))
    for wrong in ([0.5] * 5, torch.rand(3, 6), torch.rand(2, 6, 1)):
        with pytest.raises(InputError, match="truncation_psi must be"):
            truncate(WS, W_AVG, wrong)


def test_truncate_refuses_w_without_layers() -> None:
    with pytest.raises(InputError, match="broadcast"):
        truncate(WS[:, 0], W_AVG)


A, B = torch.zeros(1, 10, 4), torch.ones(1, 10, 4)


@pytest.mark.parametrize(
    ("layers", "from_b"),
    [
        (6, [6, 7, 8, 9]),
        (0, range(10)),
        (10, []),
        ("coarse", [0, 1, 2, 3]),
        ("middle", [4, 5, 6, 7]),
        ("fine", [8, 9]),
        (slice(2, 4), [2, 3]),
        (slice(None, None, 5), [0, 5]),
        ([1, 3, -1], [1, 3, 9]),
        (range(2), [0, 1]),
        ([], []),
        (torch.tensor([2]), [2]),
        ("6", [6, 7, 8, 9]),
        ("4:8", [4, 5, 6, 7]),
        ("4-7", [4, 5, 6, 7]),
        ("8:", [8, 9]),
        (":-8", [0, 1]),
        ("1,3,-1", [1, 3, 9]),
        ("3,", [3]),
        (slice(-2, None), [8, 9]),
        (slice(10, 10), []),
    ],
)
def test_mixing_takes_these_layers_from_the_second(layers: Any, from_b: Any) -> None:
    assert mix_styles(A, B, layers)[0, :, 0].nonzero().flatten().tolist() == list(from_b)


def test_mixing_no_layers_returns_the_first_all_the_second() -> None:
    assert torch.equal(mix_styles(A, B, []), A)
    assert torch.equal(mix_styles(A, B, range(10)), B)


def test_mixing_broadcasts_and_can_be_repeated() -> None:
    a, b = torch.randn(3, 1, 10, 4), torch.randn(1, 2, 10, 4)
    mixed = mix_styles(a, b, 5)
    assert mixed.shape == (3, 2, 10, 4)
    assert torch.equal(mixed[2, 1, :5], a[2, 0, :5])
    assert torch.equal(mixed[2, 1, 5:], b[0, 1, 5:])
    twice = mix_styles(mix_styles(A, B, 3), A, 7)
    assert twice[0, :, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("sources", [("middle", "fine"), ("4-7", "8:"), (4, 8), (range(4, 8), (8, 9))])
def test_mixing_takes_the_layers_of_several_sources(sources: tuple[Any, Any]) -> None:
    middle, fine = sources
    mixed = mix_styles(A, {middle: B, fine: (B + 1).expand(3, -1, -1)})
    assert mixed.shape == (3, 10, 4)
    assert mixed[2, :, 3].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert torch.equal(mix_styles(A, {}), A)


def test_sources_with_their_own_layers_have_no_others() -> None:
    with pytest.raises(InputError, match="leave out layers='fine'"):
        mix_styles(A, {"middle": B}, "fine")
    with pytest.raises(InputError, match="layers must be"):
        mix_styles(A, B)
    with pytest.raises(InputError, match=r"ws_b must be \[..., 10, 4\]"):
        mix_styles(A, {"middle": B, "fine": B[:, :8]})


@pytest.mark.parametrize(
    "layers",
    [
        *(-1, 11, 2.5, None, True, "fines", [10], [-11], ["1"], "", "-1", "11", "7-4", "4:8:2", "10,", "1;2", b"4", {}),
        *(slice(4, 99), slice(99, None), slice(-11, None), slice("a", "b"), slice(0, 4, 0), range(12), "4:99", "4-10"),
        *(torch.tensor(2.5), torch.tensor(True), np.array("x")),
    ],
)
def test_other_layers_are_refused(layers: Any) -> None:
    with pytest.raises(InputError):
        mix_styles(A, B, layers)


def test_mixing_refuses_other_shapes() -> None:
    with pytest.raises(InputError, match=r"ws_b must be \[..., 10, 4\]"):
        mix_styles(A, B[:, :8], 2)
    with pytest.raises(InputError, match="do not broadcast"):
        mix_styles(A.expand(2, -1, -1), B.expand(3, -1, -1), 2)


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        (1024, {"coarse": range(4), "middle": range(4, 8), "fine": range(8, 18)}),  # section 3.1
        (64, {"coarse": range(4), "middle": range(4, 8), "fine": range(8, 10)}),
        (32, {"coarse": range(4), "middle": range(4, 6), "fine": range(6, 8)}),
        (16, {"coarse": range(2), "middle": range(2, 4), "fine": range(4, 6)}),
        (8, {"coarse": range(2), "fine": range(2, 4)}),
    ],
)
def test_bands_are_the_papers_from_64_up(resolution: int, expected: dict[str, range]) -> None:
    num_layers = 2 * (resolution.bit_length() - 2)
    assert bands(num_layers) == expected
    for name, layers in expected.items():  # And mixing takes the same.
        a, b = torch.zeros(1, num_layers, 4), torch.ones(1, num_layers, 4)
        assert mix_styles(a, b, name)[0, :, 0].nonzero().flatten().tolist() == list(layers)


def test_a_band_that_a_network_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="4 layers has no middle band; it has coarse, fine"):
        mix_styles(A[:, :4], B[:, :4], "middle")


def test_bands_name_their_resolutions() -> None:
    assert [resolutions(layers) for layers in bands(10).values()] == ["4x4 to 8x8", "16x16 to 32x32", "64x64"]


@pytest.mark.parametrize("cutoff", [2.5, "3", True, float("nan"), torch.tensor(True), [2]])
def test_a_cutoff_that_is_no_number_of_layers_is_refused(cutoff: Any) -> None:
    with pytest.raises(InputError, match="truncation_cutoff, a layer index or None, must be an integer"):
        truncate(WS, W_AVG, 0.5, cutoff)


def test_a_cutoff_means_what_it_does_in_the_official_code() -> None:
    assert torch.equal(truncate(WS, W_AVG, 0.5, -1), WS)
    assert torch.equal(truncate(WS, W_AVG, 0.5, 99), truncate(WS, W_AVG, 0.5))


@pytest.mark.parametrize("cutoff", [-1, -3, 9, 99])
def test_a_cutoff_that_someone_chose_is_one_of_the_layers(cutoff: int) -> None:
    with pytest.raises(InputError, match="must be an integer from 0 to 8"):
        check_cutoff(cutoff, 6)
    assert check_cutoff(8, 6) == 8  # The official default, for networks of any size.
