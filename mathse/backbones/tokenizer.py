"""A checkpoint's tokenizer from its own files, whichever it is published with, and never from remote code.

InternVL2.5's members with an InternLM2 text model come with `tokenizer.model` alone and a slow tokenizer of remote code. Its authors
turned the fast conversion off because it sometimes tokenizes otherwise (OpenGVLab/InternVL#301), so sentencepiece itself is asked here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

# Enough for a tokenizer, in the order in which they are looked for.
SENTENCEPIECE = ("tokenizer.model", "tokenizer_config.json")
FAST = (("tokenizer.json",), ("vocab.json", "merges.txt"))


class InternLM2Tokenizer(SentencePieceBackend):
    """InternLM2's: added tokens are cut out first, each text between them is sentencepiece's own, whose file says whether a
    space is put before it. `<s>` begins what is encoded with special tokens, nothing ends it."""

    def __init__(self, vocab_file: str, auto_map: Any = None, **settings: Any) -> None:
        # `auto_map` names the remote code; it is left out of what is saved.
        special = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
        super().__init__(vocab_file=vocab_file, **{**special, **settings, "special_tokens_pattern": "bos"})

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of the tokens; added tokens stand in it as they are."""
        text = ""
        run: list[str] = []
        for token in tokens:
            if token in self._added_tokens_encoder:
                text += self.sp_model.decode(run) + token
                run = []
            else:
                run.append(token)
        return text + self.sp_model.decode(run)


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`. Raises ValueError where its files are missing or cannot be read."""

    def there(names: tuple[str, ...]) -> bool:
        return all((folder / name).is_file() for name in names)

    try:
        if there(SENTENCEPIECE) and _named(folder) == InternLM2Tokenizer.__name__:
            return InternLM2Tokenizer.from_pretrained(folder)
        if any(map(there, FAST)):
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # transformers and sentencepiece raise many kinds for files that are missing or broken
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: the tokenizer cannot be read ({reason}); fetch the checkpoint again") from error
    raise ValueError(
        f"{folder / 'tokenizer.json'}: missing, and neither vocab.json with merges.txt nor InternLM2's tokenizer.model with "
        f"tokenizer_config.json is there in its place; fetch the checkpoint again"
    )


def _named(folder: Path) -> str | None:
    return json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("tokenizer_class")
