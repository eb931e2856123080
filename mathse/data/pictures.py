"""Pictures of problems that others made: found inside the data's folder only, opened once, stored once by content."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from mathse.backbones.pictures import open_picture
from mathse.data.fields import Refused

LARGEST = 64 * 2**20  # bytes of a picture file
JPEG = b"\xff\xd8\xff"


def keep(content: bytes, suffix: str, folder: Path) -> str:
    """Write a picture once, under the hash of its content; its path."""
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}{suffix}"
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_bytes(content)
        shutil.move(partial, path)
    return str(path)


class Pictures:
    """Takes pictures out of `root` into `out`. What was refused once is refused again without being opened."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root = root.resolve()
        self.out = out
        self.known: dict[str, str | Refused] = {}  # by content

    def take(self, picture: str | bytes) -> str:
        """The path under which the picture is stored. Raises Refused where it is missing, outside, or cannot be opened."""
        if isinstance(picture, bytes):
            return self._stored(picture, ".jpg" if picture.startswith(JPEG) else ".png", "in the row")
        path = self.find(picture)
        try:
            if path.stat().st_size > LARGEST:
                raise Refused("unreadable picture", f"{picture}: more than {LARGEST >> 20} MB")
            return self._stored(path.read_bytes(), path.suffix, picture)
        except OSError as error:
            raise Refused("unreadable picture", f"{picture}: {error.strerror}") from error

    def digest(self, name: str) -> str:
        """The hash of a picture's content, read but not opened; of one that is refused before that, the reason."""
        try:
            path = self.find(name)
            if path.stat().st_size > LARGEST:
                return "too large"
            with path.open("rb") as opened:
                return hashlib.file_digest(opened, "sha256").hexdigest()
        except (Refused, OSError) as refused:
            return refused.reason if isinstance(refused, Refused) else "unreadable picture"

    def find(self, name: str) -> Path:
        """Where the picture lies. Raises Refused for what is not there, no file, or not below the folder, links followed."""
        if re.match(r"[a-z]+://", name, re.IGNORECASE):
            raise Refused("missing picture", f"{name[:80]} is an address; download it and give its path")
        try:
            path = (self.root / name).resolve()
            inside = path.is_relative_to(self.root)
            there = inside and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null character, a circle of links
            raise Refused("missing picture", f"{name[:80]!r} is no path ({error})") from error
        if not inside:
            raise Refused("outside the folder", f"{name[:80]} leaves {self.root}; see data.images")
        if not there:
            raise Refused("missing picture", name[:200])
        return path

    def _stored(self, content: bytes, suffix: str, name: str) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.known:
            self.known[digest] = self._opened(content, suffix, name)
        found = self.known[digest]
        if isinstance(found, Refused):
            raise Refused(found.reason, found.detail)
        return found

    def _opened(self, content: bytes, suffix: str, name: str) -> str | Refused:
        kind = suffix.lower() if re.fullmatch(r"\.\w{1,5}", suffix, re.ASCII) else ".picture"
        path = keep(content, kind, self.out)
        try:
            open_picture(path)
        except ValueError as error:
            Path(path).unlink()
            return Refused("unreadable picture", str(error).replace(f"picture {path}", name))
        return path
