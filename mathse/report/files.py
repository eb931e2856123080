"""Files written whole or not at all, and pictures and texts of others, which are trusted with nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

LONGEST_TEXT = 4000  # characters of a model's text that are shown
LARGEST_PICTURE = 480  # pixels
MOST_CONTENT = 25_000  # bytes, above which a picture is written anew
KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def write_text(path: Path, text: str) -> None:
    """Write the file whole or not at all, see `replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which becomes `path` at the end, or is gone where something fails. Its name is nobody else's: the same run in
    another process writes the same files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes `out` at the end, or is gone where something fails. Raises ValueError where `out` holds
    something already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out={out}: is there and not empty; give another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))  # a sibling, so that renaming is one act
    try:
        yield work
        for path in (work, *work.rglob("*")):  # temporary folders and safetensors are made for their owner alone
            path.chmod(0o755 if path.is_dir() else 0o644)
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def shown(text: str) -> str:
    """A model's text as it can be shown: half characters, which no file takes, replaced; cut where it does not end."""
    whole = text.encode("utf-8", "replace").decode()
    return whole if len(whole) <= LONGEST_TEXT else f"{whole[:LONGEST_TEXT]} … ({len(whole)} characters)"


@dataclass(frozen=True)
class Picture:
    """A picture as a page holds it; `id` is of its content."""

    id: str
    uri: str
    width: int
    height: int


def small_picture(path: str) -> Picture | None:
    """The picture, made smaller where it is large; None where there is no picture that can be read."""
    from PIL import Image

    try:
        content = Path(path).read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            kind, size = KINDS.get(picture.format or ""), picture.size
            if kind is None or max(size) > LARGEST_PICTURE or len(content) > MOST_CONTENT:
                picture.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
                size = picture.size
                kind, content = _smaller(picture.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Picture(f"p{digest}", f"data:{kind};base64,{base64.b64encode(content).decode()}", *size)


def _smaller(picture: Image.Image) -> tuple[str, bytes]:
    """PNG for drawings, JPEG for what is large as such; transparent parts are white."""
    from PIL import Image

    white = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(white, picture).convert("RGB")
    contents = []
    for form in ("PNG", "JPEG"):
        out = io.BytesIO()
        flat.save(out, form, optimize=True)
        contents.append((KINDS[form], out.getvalue()))
        if len(contents[-1][1]) <= MOST_CONTENT:
            break
    return min(contents, key=lambda entry: len(entry[1]))
