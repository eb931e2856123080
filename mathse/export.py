"""A fine-tuned model, or what it learned from, for other programs.

    python -m mathse.export model=runs/sft-… out=DIR merge=true|false
    python -m mathse.export data=runs/reports/… out=DIR images=embed|path   # D_SFT of each of the run's models; data=runs/sft-…: of one

`merge=false` writes the adapter in peft's format, naming the checkpoint it belongs to. `merge=true` adds it to the base's weights
as they were published, not to their 4-bit form, and writes bfloat16 safetensors, configuration and tokenizer, which plain
transformers loads (Qwen2-VL, InternVL2.5; CogVLM2 under the published names). What the run served is the 4-bit base with the
adapter, so the merged model is another: the largest difference of their logits is printed. `data=`: see mathse/lineage/dataset.py.
DIR appears whole or not at all.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.backbones import Backbone
from mathse.backbones.weights import TINY
from mathse.command import command, usage
from mathse.lineage.dataset import IMAGES, export_data
from mathse.report.files import new_folder
from mathse.store import RECORD, restore

if TYPE_CHECKING:
    from mathse.backbones import Loaded

STEPS = ("sft", "train_orm")
USAGE = (
    "python -m mathse.export model=<folder of an sft or train_orm step> out=<new folder> merge=true|false, "
    "or data=<a run's report, or folder of an sft step> out=<new folder> images=embed|path [store=…]"
)


def backbone_of(artifact: Path, word: str = "model") -> Backbone:
    """The backbone whose adapter an artifact holds, which a command's `word` named. Raises ValueError where it is no fine-tuning step's."""
    try:
        recipe = json.loads((artifact / RECORD).read_text(encoding="utf-8"))
        step = recipe["step"].rpartition(".")[2]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{word}={artifact}: no step of a run left this folder ({RECORD} is missing or broken)"
        ) from error
    if step not in STEPS or not (artifact / "adapter" / "adapter_model.safetensors").is_file():
        raise ValueError(f"{word}={artifact}: a step {step} has no adapter; give the folder of {' or '.join(STEPS)}")
    backbone: Backbone = restore(recipe["inputs"]["backbone"], artifact.parent)
    return backbone


def export(artifact: Path, out: Path, *, merge: bool) -> float | None:
    """Write the model of an artifact to `out`, a new or empty folder.

    Merging returns the largest absolute difference between a logit of the 4-bit base with the adapter and of what was written.
    """
    backbone = backbone_of(artifact)
    difference = None
    with new_folder(out) as work:
        if merge:
            write_merged(backbone, artifact / "adapter", work)
            difference = apart(backbone, artifact / "adapter", work)
        else:
            write_adapter(backbone, artifact / "adapter", work)
    return difference


def write_adapter(backbone: Any, adapter: Path, out: Path) -> None:
    """The adapter with the name of its checkpoint: the hub id or the folder; for tiny weights, where they ship."""
    shutil.copyfile(adapter / "adapter_model.safetensors", out / "adapter_model.safetensors")
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    tiny = backbone.checkpoint == "tiny"
    config["base_model_name_or_path"] = str(TINY / backbone.family) if tiny else backbone.checkpoint
    (out / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def write_merged(backbone: Any, adapter: Path, out: Path) -> None:
    """Base and adapter as one model in bfloat16, summed in float32."""
    import torch
    from huggingface_hub import save_torch_state_dict

    _check_memory(backbone)
    loaded = backbone.load(adapter, quantize=False)
    base = loaded.module.merge_and_unload().to(torch.bfloat16)
    save_torch_state_dict(base.state_dict(), str(out), max_shard_size="5GB")
    base.config.architectures = [backbone.architectures[0]]
    base.config.dtype = torch.bfloat16
    base.config.save_pretrained(out)
    loaded.tokenizer.save_pretrained(out)
    if loaded.processor is not None:
        loaded.processor.save_pretrained(out)
    for name in ("generation_config.json", "chat_template.json", "chat_template.jinja"):
        if (backbone.folder() / name).is_file() and not (out / name).exists():
            shutil.copyfile(backbone.folder() / name, out / name)


def _check_memory(backbone: Any) -> None:
    from mathse.preflight.memory import available, gib

    needed, room = 4.0 * sum(backbone.shape().parameters.values()), available("cpu")
    if needed > room:
        raise ValueError(
            f"merging needs {gib(needed)} GiB of memory (float32), {gib(room)} are free; take merge=false or another machine"
        )


def apart(backbone: Any, adapter: Path, merged: Path) -> float:
    """The largest absolute difference between logits of the 4-bit base with the adapter and of the model in `merged`."""
    import dataclasses

    from mathse.memory import release

    served = _logits(backbone.load(adapter))
    release(cycles=True)
    written = dataclasses.replace(backbone, checkpoint=str(merged))
    return float((served - _logits(written.load(quantize=False))).abs().max())


def _logits(loaded: Loaded) -> Any:
    """Logits (T, V) of a problem with a picture and its solution."""
    import torch
    from PIL import Image, ImageDraw

    from mathse.steps.generate import SOLVE
    from mathse.types import Turn

    picture = Image.new("RGB", (112, 112), "white")
    ImageDraw.Draw(picture).rectangle((20, 40, 90, 80), outline="black")
    question = SOLVE.format(question="The rectangle is 7 wide and 4 high. What is its area?")
    reply = "Step 1: 7 * 4 = 28.\nThe answer to this problem is 28."
    row = loaded.encode((Turn("user", question, (picture,)), Turn("assistant", reply)))
    batch = loaded.batch([row], side="left")
    loaded.module.train()  # bitsandbytes has another kernel for evaluation on a CPU, and no layer here has dropout
    with torch.no_grad():
        hidden = loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
        return loaded.head(hidden)[0]


@command
def main(words: Sequence[str]) -> None:
    """Export, and say what was written."""
    usage(__doc__, words)
    given = dict(word.partition("=")[::2] for word in words)
    if set(given) == {"model", "out", "merge"} and given["merge"] in ("true", "false"):
        difference = export(Path(given["model"]), Path(given["out"]), merge=given["merge"] == "true")
    elif set(given) - {"store"} == {"data", "out", "images"} and given["images"] in IMAGES:
        store = Path(given["store"]) if "store" in given else None
        print(export_data(Path(given["data"]), Path(given["out"]), images=given["images"], store=store))
        return
    else:
        raise ValueError(f"usage: {USAGE}")
    out = Path(given["out"])
    print(f"{out}: " + ", ".join(sorted(path.name for path in out.iterdir())))
    if difference is not None:
        print(f"largest difference of a logit, 4-bit base with adapter against merged: {difference:.4f}")


if __name__ == "__main__":
    sys.exit(main())
