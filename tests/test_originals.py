"""Our code for the published checkpoints computes what the original model code computed (golden tensors beside the project)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import GOLDEN
from safetensors.torch import load_file, save_file

from mathse.backbones import verify
from mathse.backbones.cogvlm2_model import CogVLM2Config, Rotary


@pytest.mark.parametrize("family", ["cogvlm2", "internvl25"])
def test_logits_features_and_greedy_text_equal_the_originals(family: str) -> None:
    folder = GOLDEN / family
    if not folder.is_dir():
        pytest.skip(
            f"{folder} is not there: the original code's tensors do not belong to the project (MATHSE_GOLDEN names them)"
        )
    found, equal = verify.differences(folder)
    assert equal
    assert {key.split(".")[0] for key in found} == {"image1", "text", "left", "right"}
    assert all(difference < verify.LIMIT for difference in found.values()), found


def test_inexact_rotary_angles_are_those_of_the_original_in_bfloat16() -> None:
    file = GOLDEN / "cogvlm2" / "rope_bf16.safetensors"
    if not file.is_file():
        pytest.skip(f"{file} is not there (MATHSE_GOLDEN names the folder of the original code's tensors)")
    theirs = load_file(file)
    rotary = Rotary(CogVLM2Config(hidden_size=256, num_attention_heads=2, exact_rope=False))
    rotary.inv_freq = theirs["inv_freq"]
    cos, sin = rotary(torch.arange(512)[None], theirs["cos"])
    assert torch.equal(cos[0, 0, :, :64], theirs["cos"])
    assert torch.equal(sin[0, 0, :, :64], theirs["sin"])


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"architectures": ["CogVLMForCausalLM"]}', "model.safetensors"),
        ("{", "config.json"),
        (None, "config.json"),
    ],
)
def test_a_broken_folder_is_one_clear_line(
    config: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in verify.TENSORS:
        save_file({"a": torch.zeros(1)}, tmp_path / name)
    if said == "model.safetensors":
        (tmp_path / said).write_bytes(b"torn")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    monkeypatch.setattr("sys.argv", ["verify", str(tmp_path)])
    assert verify.main() == 2
    err = capsys.readouterr().err
    assert err.startswith(f"mathse: {tmp_path}: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_folder_of_another_architecture_is_refused(tmp_path: Path) -> None:
    for name in verify.TENSORS:
        save_file({"a": torch.zeros(1)}, tmp_path / name)
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlavaModel"]}))
    with pytest.raises(ValueError, match="LlavaModel is not one of"):
        verify.differences(tmp_path)
