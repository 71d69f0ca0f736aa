"""Networks to a hub: private unless asked, with a card, and what is refused."""

from pathlib import Path

import huggingface_hub
import pytest

from stylegan import Generator
from stylegan.errors import (
    AuthError,
    InputError,
    OfflineError,
    UnsafeFileError,
)

from ..conftest import tiny_generator
from ..hub_server import HubServer, answer
from .served import same


def test_push_to_hub_and_back(server: HubServer, tiny: Generator) -> None:
    G = tiny_generator()
    G.metadata = {"name": "my | cats", "license": "CC BY-NC 4.0", "dataset": "my\ncats", "metrics": {"fid50k": 8.5}}
    address = G.push_to_hub("me/cats", token="hf_secret", commit_message="First")
    assert address.startswith(f"{server.url}/me/cats/commit/")
    assert server.private["me/cats"] is True
    assert "Bearer hf_secret" in server.tokens
    again = Generator.from_pretrained("me/cats", token="hf_secret")
    assert same(again, G)
    assert again.metadata == G.metadata
    files = server.commits["me/cats"][server.branches["me/cats"]["main"]]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors", "samples.png"]
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-nc-4.0\nlibrary_name: stylegan\n")
    for part in ("# my \\| cats", "(samples.png)", 'from_pretrained("me/cats")', "my cats", "| fid50k | 8.5 |"):
        assert part in card
    G.push_to_hub("me/cats")  # Again, as a further commit.


def test_publishing_is_private_unless_asked(server: HubServer, tiny: Generator) -> None:
    tiny.push_to_hub("me/open", private=False)
    assert server.private["me/open"] is False
    with pytest.raises(InputError, match="public repository; pass private=False"):
        tiny.push_to_hub("me/open")
    assert server.count("POST", "/commit/") == 1


def test_publishing_that_is_refused(server: HubServer, tiny: Generator) -> None:
    server.fault("POST", "/api/repos/create", answer(401), times=9)
    with pytest.raises(AuthError, match="publish to me/cats"):
        tiny.push_to_hub("me/cats")
    with pytest.raises(UnsafeFileError):
        tiny.push_to_hub("not a repository")


def test_publishing_without_a_network_speaks_of_no_cache(
    server: HubServer, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError, match=r"^publish to me/cats: the hub cannot be reached \(HF_HUB_OFFLINE is set\)"):
        tiny.push_to_hub("me/cats")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match=r"^publish to me/cats: the hub cannot be reached") as failure:
        tiny.push_to_hub("me/cats")
    assert "cache" not in str(failure.value)


def test_a_licence_that_states_commercial_use_is_known(tmp_path: Path) -> None:
    G = tiny_generator()
    G.metadata = {"license": "CC BY 4.0 (commercial use allowed)"}
    G.save_model_card(tmp_path)
    assert (tmp_path / "README.md").read_text().startswith("---\nlicense: cc-by-4.0\n")


def test_unknown_licences_in_the_card(tiny: Generator, tmp_path: Path) -> None:
    G = tiny_generator()
    G.metadata = {"license": 'odd: "yes"\n- no', "license_url": "https://example.org"}
    G.save_model_card(tmp_path)
    header = (tmp_path / "README.md").read_text().split("---\n")[1].splitlines()
    assert header[:3] == [
        "license: other",
        'license_name: "odd: \\"yes\\" - no"',
        'license_link: "https://example.org"',
    ]
