"""What is trained and what is quantised, to look at before a training."""

from __future__ import annotations

from collections.abc import Iterator

from mathse.backbones import Loaded, Row


def table(loaded: Loaded, row: Row) -> str:
    """What is trained and what is quantised, and one row's label mask, as a few lines to print."""
    counts: dict[str, list[int]] = {}
    for name, parameter in loaded.module.named_parameters():
        part = loaded.layout.part(name)
        size = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)  # two values a byte
        entry = counts.setdefault(part, [0, 0, 0])
        entry[0] += size
        entry[1] += size if parameter.requires_grad else 0
        entry[2] += size if type(parameter).__name__ == "Params4bit" else 0
    lines = [f"  {'part':<12}{'parameters':>12}{'4-bit':>12}{'trained':>12}"]
    lines += [
        f"  {part:<12}{size:>12,}{four:>12,}{trained:>12,}" for part, (size, trained, four) in sorted(counts.items())
    ]
    shown = "".join(_spans(loaded, row))
    return "\n".join([*lines, f"  trained in «»: {shown}"])


def _spans(loaded: Loaded, row: Row) -> Iterator[str]:
    ids, trained = row.ids.tolist(), row.trained.tolist()
    start = 0
    for i in range(1, len(ids) + 1):
        if i == len(ids) or trained[i] != trained[start]:
            text = loaded.tokenizer.decode([t for t in ids[start:i] if t != loaded.picture_id]).replace("\n", "⏎")
            yield f"«{text}»" if trained[start] else text if len(text) < 60 else f"{text[:12]}…{text[-40:]}"
            start = i
