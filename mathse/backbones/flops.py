"""How many floating-point operations it takes: 2 for each weight that a token passes, on the way there and again on the way back.

- reading a token: 2 (N + A), N being the language model's weights that it passes, A the adapter's (LoRA)
- writing one: 2 (N + A + V), V being the output layer's, hidden size times vocabulary
- a token of a row that is learned from: 4 N + 6 A. The frozen weights pass gradients on (2 N back) and get none; LoRA's do both
- one of those that carry a label: 4 V more; only their logits are ever computed
- a picture token: 2 P for each of its patches, P being the frozen tower's weights, which learn nothing

Left out, as is usual: attention scores (a few percent at 1,500 tokens), norms, and what is computed a second time to save memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mathse.backbones.loading import Layout, Shape

PATCHES = 4  # of the tower for one token of a picture, in all three families
FORMULA = (
    "FLOPs: 2 (N + A) for a token read, V more where one is written; 4 N + 6 A for a token of a row learned from, 4 V more with a label; "
    "8 P for a picture token (N language weights passed, A adapter, V output layer, P picture tower; attention scores left out)"
)


@dataclass(frozen=True)
class Size:
    """Numbers of weights: of the language model that one token passes, of the adapter, the output layer and the picture tower."""

    language: float
    adapter: float
    head: float
    vision: float

    def reading(self, tokens: float) -> float:
        return 2 * (self.language + self.adapter) * tokens

    def writing(self, tokens: float) -> float:
        return 2 * (self.language + self.adapter + self.head) * tokens

    def learning(self, passed: float, trained: float) -> float:
        """`passed`: tokens of the rows; `trained`: those of them with a label."""
        return (4 * self.language + 6 * self.adapter) * passed + 4 * self.head * trained

    def seeing(self, picture_tokens: float) -> float:
        return 2 * self.vision * PATCHES * picture_tokens


def size_of(shape: Shape, rank: int) -> Size:
    """Of a member that need not be there, with an adapter of that rank (0 for none)."""
    return Size(shape.active, rank * shape.lora, shape.vocabulary * shape.hidden, shape.parameters["vision"])


def size_in_memory(module: Any, layout: Layout) -> Size:
    """Of a module as it is loaded: in 4 bits or not, with an adapter, with several of which one is in use, or with none."""
    counts: dict[str, float] = {}
    adapters: set[str] = set()
    for name, parameter in module.named_parameters():
        part = layout.part(name)
        counts[part] = counts.get(part, 0) + parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
        if part == "adapter":
            adapters.add(name.split(".")[-2])
    return Size(
        counts.get("language", 0) / layout.experts,
        counts.get("adapter", 0) / max(1, len(adapters)),
        counts.get("head", counts.get("embeddings", 0)),  # tied: the embeddings are the output layer
        counts.get("vision", 0),
    )
