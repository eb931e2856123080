"""Where a checkpoint's files are, and what identifies them: the tiny weights in the package, a local folder, a hub cache."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

TINY = Path(__file__).parent / "tiny"
CARD = "card.json"  # beside shipped weights: sha256 of each file, how they were made, how well they read


def folder_of(family: str, checkpoint: str) -> Path:
    """The local folder of a checkpoint. Raises ValueError that says what to do where it is missing or was changed."""
    if checkpoint == "tiny":
        folder = TINY / family
        verify(folder)
        return folder
    local = Path(checkpoint)
    if local.is_dir():
        return local
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(checkpoint, local_files_only=True))
    except Exception as error:
        raise ValueError(
            f"backbone.checkpoint={checkpoint}: neither a folder nor in the hub cache. Fetch it with "
            f"`hf download {checkpoint}`, or give a local folder; scale=tiny needs no download."
        ) from error


def checkpoint_files(family: str, checkpoint: str) -> dict[str, str]:
    """What identifies the weights: sha256 of each local file, or the hub's name and commit."""
    folder = folder_of(family, checkpoint)
    if checkpoint == "tiny" or Path(checkpoint).is_dir():
        return {
            path.name: sha256(path) for path in sorted(folder.glob("*")) if path.suffix in (".json", ".safetensors")
        }
    return {"hub": checkpoint, "commit": folder.name}


@functools.cache
def _sha256(path: Path, size: int, changed_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """The sha256 of a file's content, computed once a process as long as the file does not change."""
    stat = path.stat()
    return _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)


def verify(folder: Path) -> None:
    """Raises ValueError naming the file of shipped weights that is not what its card says."""
    try:
        expected: dict[str, str] = json.loads((folder / CARD).read_text())["sha256"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder / CARD}: the card of the tiny weights is missing or broken; reinstall mathse"
        ) from error
    for name, digest in expected.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise ValueError(
                f"{path}: missing, or not the file that was shipped (sha256 differs); restore it or reinstall mathse"
            )
