"""Our code for the published checkpoints computes what the original model code computed (golden tensors beside the project)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mathse.backbones import verify

GOLDEN = Path(os.environ.get("MATHSE_GOLDEN", Path(__file__).parent.parent.parent / "shared" / "golden"))


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


def test_a_folder_of_another_architecture_is_refused(tmp_path: Path) -> None:
    for name in ("model.safetensors", "inputs.safetensors", "outputs.safetensors"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlavaModel"]}))
    with pytest.raises(ValueError, match="LlavaModel is not one of"):
        verify.differences(tmp_path)
