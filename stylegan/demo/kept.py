"""The pictures that browsers fetch: files in a folder, for as long as a session that was shown them is open."""

import hashlib
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from .. import images


class KeptPictures:
    """Files of pictures, with their settings, in a folder of its own each; the longest unseen ones go first."""

    def __init__(self, folder: Path, *, limit: int):
        self.folder, self.limit = folder, limit
        self.seen_by: dict[Path, set[str]] = {}  # The sessions of each file, the last shown file last.
        self._lock = threading.Lock()

    def keep(self, session: str, pictures: Sequence[Image.Image]) -> list[str]:
        """Write the pictures that are not there yet; the paths of all."""
        paths = []
        with self._lock:
            for picture in pictures:
                digest = hashlib.sha256(repr(sorted(picture.info.items())).encode()).hexdigest()
                path = self.folder / digest[:32] / f"{_file_name(picture)}.png"
                sessions = self.seen_by.pop(path, set())
                if not path.is_file():
                    images.save(picture, path)
                if len(sessions) < 1000:  # Whoever makes up sessions fills no memory.
                    sessions.add(session[:64])
                self.seen_by[path] = sessions
                paths.append(path)
            for path in list(self.seen_by)[: max(0, len(self.seen_by) - self.limit)]:
                self._delete(path)
        return [str(path) for path in paths]

    def forget(self, session: str) -> None:
        """Delete what this session alone was shown: it has ended."""
        with self._lock:
            for path, sessions in list(self.seen_by.items()):
                sessions.discard(session[:64])
                if not sessions:
                    self._delete(path)

    def _delete(self, path: Path) -> None:
        del self.seen_by[path]
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()


def _file_name(picture: Image.Image) -> str:
    text = picture.info
    if "seed" in text:
        return f"seed{text['seed']}"
    a, b = text["seeds"].strip("[]").split(", ")
    return f"{'mix' if 'layers' in text else 'between'}-{a}-{b}"
