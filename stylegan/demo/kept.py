"""What browsers fetch: pictures and latents in a folder, for as long as a session that was shown them is open."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from PIL import Image

from .. import images
from ..latents.files import Latents

PHOTO = "photo"  # The name in pictures and latents of a photo, and how the names of their files begin.


class KeptPictures:
    """Files of pictures, with their settings, in a folder of its own each; the longest unseen ones go first."""

    def __init__(self, folder: Path, *, limit: int):
        self.folder, self.limit = folder, limit
        self.seen_by: dict[Path, set[str]] = {}  # The sessions of each file, the last shown file last.
        self._lock = threading.Lock()

    def keep(self, session: str, pictures: Sequence[Image.Image]) -> list[str]:
        """Write the pictures that are not there yet; the paths of all."""
        with self._lock:
            paths = []
            for picture in pictures:
                digest = hashlib.sha256(repr(sorted(picture.info.items())).encode()).hexdigest()
                path = self.folder / digest[:32] / f"{_file_name(picture)}.png"
                self._keep(session, path, partial(images.save, picture))
                paths.append(str(path))
            self._drop_oldest()
        return paths

    def keep_latents(self, session: str, latents: Latents, digest: str) -> str:
        """Write a photo's latents, if they are not there yet; their path. digest: of the latents."""
        path = self.folder / digest / f"{PHOTO}-latents.safetensors"
        with self._lock:
            self._keep(session, path, latents.save)
            self._drop_oldest()
        return str(path)

    def forget(self, session: str, *, photos_only: bool = False) -> None:
        """Delete what this session alone was shown: it has ended, or has another photo."""
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
        if len(sessions) < 1000:  # Whoever makes up sessions fills no memory.
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


def _file_name(picture: Image.Image) -> str:
    text = picture.info
    if text.get("name") == PHOTO:
        return PHOTO
    if "seed" in text:
        return f"seed{text['seed']}"
    a, b = text["seeds"].strip("[]").split(", ")
    return f"{'mix' if 'layers' in text else 'between'}-{a}-{b}"
