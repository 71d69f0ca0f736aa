"""What browsers fetch: images and latents in a folder, kept while a session that was shown them is open."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from PIL import Image

from .. import images
from ..latents.files import Latents

PHOTO = "photo"  # The name of a photo in images and latents, and the prefix of their file names.


class KeptImages:
    """Image files with their settings, each in a folder of its own; those unseen for longest are deleted first."""

    def __init__(self, folder: Path, *, limit: int):
        self.folder, self.limit = folder, limit
        self.seen_by: dict[Path, set[str]] = {}  # The sessions of each file, the last shown file last.
        self._lock = threading.Lock()

    def keep(self, session: str, made: Sequence[Image.Image]) -> list[str]:
        """Write the images that are not there yet; returns the paths of all."""
        with self._lock:
            paths = []
            for image in made:
                digest = hashlib.sha256(repr(sorted(image.info.items())).encode()).hexdigest()
                path = self.folder / digest[:32] / f"{_file_name(image)}.png"
                self._keep(session, path, partial(images.save, image))
                paths.append(str(path))
            self._drop_oldest()
        return paths

    def keep_latents(self, session: str, latents: Latents, digest: str) -> str:
        """Write a photo's latents unless they are there; returns their path. digest: of the latents."""
        path = self.folder / digest / f"{PHOTO}-latents.safetensors"
        with self._lock:
            self._keep(session, path, latents.save)
            self._drop_oldest()
        return str(path)

    def forget(self, session: str, *, photos_only: bool = False) -> None:
        """Delete what only this session was shown: it has ended, or has another photo."""
        with self._lock:
            for path, sessions in list(self.seen_by.items()):
                if photos_only and not path.name.startswith(PHOTO):
                    continue
                sessions.discard(session[:64])
                if not sessions:
                    self._delete(path)

    def _keep(self, session: str, path: Path, save: Callable[[Path], None]) -> None:
        sessions = self.seen_by.pop(path, set())
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            save(path)
        if len(sessions) < 1000:  # Made-up sessions must not fill the memory.
            sessions.add(session[:64])
        self.seen_by[path] = sessions

    def _drop_oldest(self) -> None:
        for path in list(self.seen_by)[: max(0, len(self.seen_by) - self.limit)]:
            self._delete(path)

    def _delete(self, path: Path) -> None:
        del self.seen_by[path]
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def _file_name(image: Image.Image) -> str:
    text = image.info
    if text.get("name") == PHOTO:
        return PHOTO
    if "seed" in text:
        return f"seed{text['seed']}"
    a, b = text["seeds"].strip("[]").split(", ")
    return f"{'mix' if 'layers' in text else 'between'}-{a}-{b}"
