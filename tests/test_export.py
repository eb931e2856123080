"""A fine-tuned model leaves the project as an adapter or merged, for plain peft and transformers; nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mathse import export
from mathse.backbones.cogvlm2 import CogVLM2
from mathse.backbones.internvl25 import InternVL25
from mathse.backbones.qlora import Lora
from mathse.backbones.qwen2vl import Qwen2VL
from mathse.store import RECORD, canonical

LORA = Lora(rank=4, alpha=8, dropout=0.0)


def artifact(backbone: Any, folder: Path, step: str = "mathse.steps.sft.sft") -> Path:
    """What a fine-tuning step leaves, its adapter not trained but random."""
    torch.manual_seed(0)
    module = backbone.load(lora=LORA).module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.05)
    module.save_pretrained(folder / "adapter")
    (folder / RECORD).write_text(json.dumps({"step": step, "inputs": {"backbone": canonical(backbone)}}))
    return folder


@pytest.fixture
def tuned(backbone: Qwen2VL, tmp_path: Path) -> Path:
    return artifact(backbone, tmp_path / "sft-0")


def plain(folder: Path, *, adapter: Path | None = None) -> Any:
    """The model as a program without mathse loads it."""
    import peft
    from transformers import AutoModelForImageTextToText

    model, info = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    return peft.PeftModel.from_pretrained(model, adapter) if adapter else model


def text_logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.arange(20, 60)[None], attention_mask=torch.ones(1, 40).long()).logits


def test_the_adapter_names_its_checkpoint_and_peft_loads_it(tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    assert export.export(tuned, out, merge=False) is None
    assert {path.name for path in out.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
    base = json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert not torch.allclose(text_logits(plain(Path(base), adapter=out)), text_logits(plain(Path(base))), atol=1e-2)


def test_the_merged_model_is_the_unquantised_base_with_the_adapter(tuned: Path, tmp_path: Path) -> None:
    export.export(tuned, tmp_path / "adapter", merge=False)
    difference = export.export(tuned, tmp_path / "merged", merge=True)
    base = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    wanted = text_logits(plain(Path(base), adapter=tmp_path / "adapter"))
    merged = plain(tmp_path / "merged")
    assert torch.allclose(text_logits(merged), wanted, atol=0.2)  # bfloat16 rounds the sum
    assert not torch.allclose(text_logits(plain(Path(base))), wanted, atol=0.5)
    assert difference is not None
    assert 0 < difference < 5


def test_plain_transformers_reads_the_merged_pictures_and_text(tuned: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer

    export.export(tuned, tmp_path / "merged", merge=True)
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").decode([2]) == "<|im_end|>"
    size = AutoImageProcessor.from_pretrained(tmp_path / "merged").size
    assert (size["shortest_edge"], size["longest_edge"]) == (3136, 12544)


@pytest.mark.parametrize("golden", ["internvl25", "cogvlm2"], indirect=True)
def test_the_other_families_merge_too(golden: Path, tmp_path: Path) -> None:
    backbone: Any
    if golden.name == "internvl25":
        backbone = InternVL25(checkpoint=str(golden), max_tiles=1, max_length=1024, system="Solve.")
    else:
        backbone = CogVLM2(checkpoint=str(golden), max_length=1024, several="tile", exact_rope=True)
    tuned = artifact(backbone, tmp_path / "train_orm-0", "mathse.steps.orm.train_orm")
    difference = export.export(tuned, tmp_path / "merged", merge=True)
    assert difference is not None
    assert difference < 5
    if golden.name == "internvl25":
        text_logits(plain(tmp_path / "merged"))


def test_nothing_is_overwritten(tuned: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"out=.*not empty"):
        export.export(tuned, out, merge=False)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_a_failed_export_leaves_nothing(tuned: Path, tmp_path: Path) -> None:
    (tuned / "adapter" / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match="Expecting"):
        export.export(tuned, tmp_path / "made" / "out", merge=False)
    assert list((tmp_path / "made").iterdir()) == []


def test_mistakes_are_one_line(tuned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "draw-0"
    other.mkdir()
    (other / RECORD).write_text(json.dumps({"step": "mathse.steps.data.draw", "inputs": {}}))
    for arguments, words in (
        ([f"model={tmp_path}", f"out={tmp_path}/x", "merge=true"], "no step of a run left this folder"),
        ([f"model={other}", f"out={tmp_path}/x", "merge=true"], "a step draw has no adapter"),
        ([f"model={tuned}", f"out={tmp_path}/x"], "usage: "),
        ([f"model={tuned}", f"out={tmp_path}/x", "merge=maybe"], "usage: "),
    ):
        assert export.main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()
