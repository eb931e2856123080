"""Adapters that somebody else made, in peft's format, become artifacts of the store: named by what is in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

from mathse.settings import settings

CONFIG, WEIGHTS = FILES = ("adapter_config.json", "adapter_model.safetensors")


@settings
class AdapterFolder:
    """A folder with adapter_config.json and adapter_model.safetensors, or one that holds such a folder as `adapter/`."""

    execution: ClassVar = ("path",)  # the files' content is the identity: see `recipe`

    path: str

    def check(self) -> None:
        wrong = [file for file in FILES if not (self.folder / file).is_file()]
        if wrong:
            raise ValueError(
                f"adapter={self.path}: there is no {wrong[0]} in it; it should be a folder of the store (runs/sft-…), or of an adapter in "
                "peft's format with safetensors"
            )
        try:
            json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))["peft_type"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.folder / CONFIG}: not the configuration of an adapter ({error!r})") from error

    @property
    def folder(self) -> Path:
        """Where the adapter's own files are."""
        below = Path(self.path) / "adapter"
        return below if below.is_dir() else Path(self.path)

    @property
    def base(self) -> str:
        """The checkpoint that the adapter says it belongs to; empty where it says none."""
        config: dict[str, Any] = json.loads((self.folder / CONFIG).read_text(encoding="utf-8"))
        return str(config.get("base_model_name_or_path") or "")

    def recipe(self) -> dict[str, str]:
        """The files' sha256. The name of the base, which is a path where the adapter was made, is none of what it computes."""
        config = json.loads((self.folder / CONFIG).read_text(encoding="utf-8")) | {"base_model_name_or_path": ""}
        with (self.folder / WEIGHTS).open("rb") as file:
            weights = hashlib.file_digest(file, "sha256").hexdigest()
        return {CONFIG: hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(), WEIGHTS: weights}


def adopt(out: Path, *, adapter: AdapterFolder) -> dict[str, float]:
    """A copy of the adapter -> adapter/, as `sft` leaves one."""
    (out / "adapter").mkdir(exist_ok=True)
    for file in FILES:
        shutil.copyfile(adapter.folder / file, out / "adapter" / file)
    return {"megabytes": (out / "adapter" / WEIGHTS).stat().st_size / 2**20}
