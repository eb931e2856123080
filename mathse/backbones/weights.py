"""Where a checkpoint's files are, whether they are whole, and what identifies them: shipped tiny weights, a local folder, a hub cache."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

TINY = Path(__file__).parent / "tiny"
CARD = "card.json"  # beside shipped weights: sha256 of each file, how they were made, how well they read


def folder_of(family: str, checkpoint: str) -> Path:
    """The local folder of a checkpoint. Raises ValueError that says what to do where it is missing or was changed."""
    if checkpoint == "tiny":
        folder = TINY / family
        if not folder.is_dir():
            raise ValueError(
                f"backbone.checkpoint=tiny: no tiny weights of {family} ship with mathse; give a hub id or a local folder"
            )
        verify(folder)
        return folder
    local = Path(checkpoint)
    if local.is_dir():
        return local
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(checkpoint, local_files_only=True))
    except Exception as error:
        raise ValueError(
            f"backbone.checkpoint={checkpoint}: neither the folder {local.resolve()} nor in the hub cache "
            f"{constants.HF_HUB_CACHE}, not even its config.json. Fetch it with `hf download {checkpoint}` (with "
            f"` config.json` behind it to estimate memory first), or give a local folder; scale=tiny needs no download."
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` as it is written. Raises ValueError where it is missing or broken."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder / 'config.json'}: missing or broken ({error}); fetch the checkpoint again"
        ) from error
    return config


def ends_of(folder: Path) -> tuple[int, ...]:
    """The tokens that end a text by the checkpoint's own `generation_config.json`; none where there is no such file."""
    path = folder / "generation_config.json"
    try:
        ends = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
        return tuple(map(int, ends if isinstance(ends, list) else [] if ends is None else [ends]))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: broken ({error}); fetch the checkpoint again") from error


def check_shards(folder: Path) -> None:
    """Raises ValueError naming the first safetensors file that is missing or not whole. Reads headers only."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{index}: broken; fetch the checkpoint again") from error
    else:
        names = ["model.safetensors"]
    for name in names:
        _check_shard(folder / name, f"one of {len(names)} files of weights")


def _check_shard(path: Path, what: str) -> None:
    again = "fetch it again, `hf download` fetches only what is missing"
    if not path.is_file():
        raise ValueError(f"{path}: {what}, is missing; {again}")
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(length) if 8 + length <= size else b"")
            data = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: {what}, has no readable header (the file has {size:,} bytes); {again}"
            ) from error
    if 8 + length + data != size:
        raise ValueError(f"{path}: {what}, has {size:,} bytes, its header says {8 + length + data:,}; {again}")


def checkpoint_files(family: str, checkpoint: str) -> dict[str, str]:
    """What identifies the weights: sha256 of each local file, or the hub's name and commit."""
    folder = folder_of(family, checkpoint)
    if checkpoint == "tiny" or Path(checkpoint).is_dir():
        # .model and .txt are tokenizers'
        kinds = (".json", ".safetensors", ".model", ".txt")
        return {path.name: sha256(path) for path in sorted(folder.glob("*")) if path.suffix in kinds}
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
