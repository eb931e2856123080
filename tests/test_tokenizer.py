"""Published checkpoints are tokenized as their original code does: from their own files, without that code, and prompts as a whole."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from PIL import Image
from pretraining.families import FAMILIES
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mathse.backbones import Loaded
from mathse.backbones.cogvlm2 import CogVLM2
from mathse.backbones.tokenizer import read_tokenizer
from mathse.types import Chat, Turn

TEXTS = {
    "English": "Solve the problem: what is the area of the rectangle?",
    "Chinese": "如图，已知三角形的面积是12，求它的高。",
    "LaTeX": r"\frac{a^{2}+b^{2}}{\sqrt{c}} = \left( x_{1} \right)",
    "emoji": "well done 👍🏽 🐉",
    "digits": "1005 * 12 = 12060, 3.14159",
    "a space first": " one",
    "many spaces": "a    b      c  ",
    "spaces alone": "     ",
    "line ends": "\n\nStep 1\n\n\nStep 2\r\n\tend\n",
    "repeated": "aaaaaaaa ababababa ------ ======",
    "an added token": "before<img>after</img>\nthen <|im_end|> <s></s>",
    "half an added token": "<|im_star <img < IMG_CONTEXT>",
    "sentencepiece's own space": "a▁b ▁ c",
    "a character it never saw": "ꙮ \x00 ￼",
    "a byte's name": "<0x0A>",
    "composed otherwise": "e\u0301 ﬁ ２",
    "nothing": "",
}
ADDED = ("<|plugin|>", "<|im_end|>", "<|im_start|>", "<img>", "</img>", "<IMG_CONTEXT>", "<box>", "</box>")
REMOTE = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\nclass Remote: pass\n"


def corpus() -> list[str]:
    return [text for text in TEXTS.values() if text.strip()] * 20 + [
        "user\nassistant\nsystem\nImage-1: \nImage-2: "
    ] * 20


def remote(folder: Path, name: str) -> None:
    """Let the JSON file `name` ask for remote code that leaves a trace when it is executed."""
    (folder / "remote.py").write_text(REMOTE)
    data = json.loads((folder / name).read_text())
    classes = ["remote.Remote", None] if name.startswith("tokenizer") else "remote.Remote"
    data["auto_map"] = dict.fromkeys(["AutoTokenizer" if name.startswith("tokenizer") else "AutoConfig"], classes)
    (folder / name).write_text(json.dumps(data))


def token(content: str) -> dict[str, Any]:
    return {"content": content, "special": True} | dict.fromkeys(
        ["lstrip", "normalized", "rstrip", "single_word"], False
    )


@pytest.fixture(scope="module", params=[False, True], ids=["no prefix", "prefix"])
def internlm2(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an InternVL2.5 with InternLM2: some of the added tokens take the numbers of pieces that nothing uses, the others
    stand behind the pieces."""
    folder: Path = tmp_path_factory.mktemp("internlm2")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=600,
        hard_vocab_limit=False,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=request.param,
        user_defined_symbols=["[UNUSED_TOKEN_0]", "[UNUSED_TOKEN_1]"],
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    numbers = [pieces.piece_to_id("[UNUSED_TOKEN_0]"), pieces.piece_to_id("[UNUSED_TOKEN_1]")]
    numbers += range(len(pieces), len(pieces) + len(ADDED) - 2)
    added = {0: "<unk>", 1: "<s>", 2: "</s>", **dict(zip(numbers, ADDED, strict=True))}
    config = {
        "added_tokens_decoder": {str(number): token(content) for number, content in added.items()},
        "additional_special_tokens": list(ADDED),
        "clean_up_tokenization_spaces": False,
        "model_max_length": 8192,
        "tokenizer_class": "InternLM2Tokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "special_tokens_map.json").write_text(
        json.dumps({"additional_special_tokens": list(ADDED), "bos_token": "<s>"})
    )
    (folder / "added_tokens.json").write_text(json.dumps({content: number for number, content in added.items()}))
    (folder / "config.json").write_text(json.dumps({"model_type": "internvl_chat"}))
    remote(folder, "config.json")
    remote(folder, "tokenizer_config.json")
    return folder


def original(folder: Path, text: str) -> list[int]:
    """What InternLM2's own slow tokenizer gives: added tokens are cut out, sentencepiece encodes each text between them."""
    config = json.loads((folder / "tokenizer_config.json").read_text())
    added = {token["content"]: int(number) for number, token in config["added_tokens_decoder"].items()}
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    ids: list[int] = []
    for part in re.split(f"({'|'.join(map(re.escape, sorted(added, key=len, reverse=True)))})", text):
        ids += [added[part]] if part in added else pieces.encode(part) if part else []
    return ids


@pytest.mark.parametrize("name", TEXTS)
def test_internlm2_ids_are_sentencepieces_own_with_the_added_tokens(name: str, internlm2: Path) -> None:
    tokenizer = read_tokenizer(internlm2)
    ids = original(internlm2, TEXTS[name])
    assert tokenizer.encode(TEXTS[name], add_special_tokens=False) == ids
    assert tokenizer.encode(TEXTS[name]) == [1, *ids], "<s> begins, nothing ends"
    assert not (internlm2 / "executed").exists()


@pytest.mark.parametrize("name", TEXTS)
def test_internlm2_text_comes_back(name: str, internlm2: Path) -> None:
    tokenizer = read_tokenizer(internlm2)
    ids = tokenizer.encode(TEXTS[name], add_special_tokens=False)
    assert tokenizer.decode(ids) == TEXTS[name].replace("▁", " "), "sentencepiece cannot tell these two apart"


def test_internlm2_added_tokens_have_the_numbers_of_the_checkpoint(internlm2: Path) -> None:
    tokenizer = read_tokenizer(internlm2)
    assert tokenizer.get_vocab() | json.loads((internlm2 / "added_tokens.json").read_text()) == tokenizer.get_vocab()
    assert len(tokenizer) == max(tokenizer.get_vocab().values()) + 1
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 2)


def test_a_saved_internlm2_tokenizer_is_the_same_and_asks_for_no_remote_code(internlm2: Path, tmp_path: Path) -> None:
    tokenizer = read_tokenizer(internlm2)
    tokenizer.save_pretrained(tmp_path)
    assert "auto_map" not in (tmp_path / "tokenizer_config.json").read_text()
    again = read_tokenizer(tmp_path)
    for text in TEXTS.values():
        assert again.encode(text) == tokenizer.encode(text)


# ---- chats ----

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|")


def byte_level(pattern: str, added: tuple[str, ...]) -> Tokenizer:
    """A byte-level BPE of the kind of Qwen2's and Llama 3's, which differ in how digits are cut."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC() if pattern == QWEN2 else None
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [f"{text}\n\n{text}\n {text}" for text in corpus()],
        trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in added])
    return tokenizer


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tokenizer of its real kind for each family (InternVL2.5's other kind is `internlm2`)."""
    made = {}
    for name, pattern in (("qwen2vl", QWEN2), ("internvl25", QWEN2), ("cogvlm2", LLAMA3)):
        family = FAMILIES[name]
        roles = {role: mark for role, mark in family.roles.items() if (name, role) != ("internvl25", "bos_token")}
        made[name] = PreTrainedTokenizerFast(tokenizer_object=byte_level(pattern, family.special), **roles)
    return made


PICTURE = Image.new("RGB", (112, 112), "white")
CHATS: dict[str, Chat] = {
    "text": (Turn("user", "What is 12 + 5?"),),
    "a picture": (Turn("user", "What is 12 + 5?", (PICTURE,)),),
    "two pictures": (Turn("user", "Which is larger?", (PICTURE, PICTURE)),),
    "line ends first": (Turn("user", "\n\n What?\n", (PICTURE,)),),
    "a space first": (Turn("user", " a", (PICTURE,)), Turn("assistant", " b")),
    "a solution": (Turn("user", "如图，求它的高。", (PICTURE,)), Turn("assistant", "Step 1: 3 * 4 = 12.\n答案是12。")),
    "two turns": (Turn("user", "What is 1?", (PICTURE,)), Turn("assistant", "Step 1: 1."), Turn("user", "And 2?")),
}


def chatml(system: str, picture: str, chat: Chat) -> str:
    text = f"<|im_start|>system\n{system}<|im_end|>\n"
    for turn in chat:
        named = [f"Image-{i}: " if len(turn.images) > 1 else "" for i in range(1, len(turn.images) + 1)]
        seen = "".join(picture.replace("NAME", name) for name in named)
        text += f"<|im_start|>{turn.role}\n{seen}{turn.text}<|im_end|>\n"
    return text + ("<|im_start|>assistant\n" if chat[-1].role == "user" else "")


def qwen2vl(chat: Chat) -> list[str]:
    return [chatml("You are a helpful assistant.", f"<|vision_start|>{'<|image_pad|>' * 16}<|vision_end|>", chat)]


def internvl25(chat: Chat) -> list[str]:
    return [chatml("You are a helpful assistant.", f"NAME<img>{'<IMG_CONTEXT>' * 16}</img>\n", chat)]


def cogvlm2(chat: Chat) -> list[str]:
    """The answer is tokenized by itself, earlier ones are part of the prompt."""
    text = "<|begin_of_text|>" + "<|reserved_special_token_0|>" * (18 if chat[0].images else 0)
    for i, turn in enumerate(chat):
        if turn.role == "user":
            text += f"Question: {turn.text} Answer:"
        elif i + 1 < len(chat):
            text += f" {turn.text}\n"
    return [text, f"{chat[-1].text}<|end_of_text|>"] if chat[-1].role == "assistant" else [text]


ORIGINALS = {"qwen2vl": qwen2vl, "internvl25": internvl25, "internlm2": internvl25, "cogvlm2": cogvlm2}


@pytest.fixture(params=ORIGINALS)
def original_and_ours(
    request: pytest.FixtureRequest, tokenizers: dict[str, Any], internlm2: Path
) -> tuple[Callable[[Chat], list[str]], Loaded]:
    """The text of a chat in the original's template, in pieces that it tokenizes one by one; a family with a real tokenizer."""
    if request.param == "internlm2":
        family, tokenizer, begin = "internvl25", read_tokenizer(internlm2), "<s>"
    else:
        family, tokenizer, begin = request.param, tokenizers[request.param], ""
    _, loaded = FAMILIES[family].make(tokenizer)
    return lambda chat: [begin + (texts := ORIGINALS[request.param](chat))[0], *texts[1:]], loaded


@pytest.mark.parametrize("chat", CHATS)
def test_a_chat_has_the_originals_tokens(
    chat: str, original_and_ours: tuple[Callable[[Chat], list[str]], Loaded]
) -> None:
    texts, loaded = original_and_ours
    row = loaded.encode(CHATS[chat], reply=CHATS[chat][-1].role == "user")
    ids = [loaded.tokenizer.encode(text, add_special_tokens=False) for text in texts(CHATS[chat])]
    assert row.ids.tolist() == list(chain.from_iterable(ids))


@pytest.mark.parametrize("chat", ["a space first", "a solution"])
def test_the_answer_and_its_end_are_trained_after_what_generation_is_asked(
    chat: str, original_and_ours: tuple[Callable[[Chat], list[str]], Loaded]
) -> None:
    _, loaded = original_and_ours
    row, asked = loaded.encode(CHATS[chat]), loaded.encode(CHATS[chat][:-1], reply=True)
    assert row.ids[: len(asked)].equal(asked.ids)
    assert not row.trained[: len(asked)].any()
    assert int(row.ids[row.trained][-1]) == loaded.stop_ids[0]
    answer = loaded.tokenizer.decode(row.ids[row.trained][:-1])
    assert answer.strip() == CHATS[chat][-1].text.strip()  # sentencepiece takes the prefix's space away


def test_an_earlier_answer_is_trained_too(
    original_and_ours: tuple[Callable[[Chat], list[str]], Loaded],
) -> None:
    _, loaded = original_and_ours
    row = loaded.encode(CHATS["two turns"], reply=True)
    assert loaded.tokenizer.decode(row.ids[row.trained], skip_special_tokens=True).strip() == "Step 1: 1."


# ---- files ----


def test_a_byte_level_tokenizer_is_read_from_vocabulary_and_merges(tmp_path: Path) -> None:
    """InternVL2.5-1B and 4B: Qwen2's, with the added tokens in tokenizer_config.json."""
    whole = byte_level(QWEN2, ())
    whole.model.save(str(tmp_path))
    size = whole.get_vocab_size()
    whole.add_special_tokens([AddedToken(mark, normalized=False) for mark in ("<|endoftext|>", *ADDED)])
    config = {
        "added_tokens_decoder": {str(size + i): token(mark) for i, mark in enumerate(("<|endoftext|>", *ADDED))},
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "tokenizer_class": "Qwen2Tokenizer",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "internvl_chat"}))
    remote(tmp_path, "config.json")
    tokenizer = read_tokenizer(tmp_path)
    for text in TEXTS.values():
        assert tokenizer.encode(text) == whole.encode(text).ids
    assert (tokenizer.bos_token, tokenizer.pad_token) == (None, "<|endoftext|>")
    assert not (tmp_path / "executed").exists()


def test_cogvlm2s_marks_are_found_by_number_and_nothing_remote_is_run(tmp_path: Path) -> None:
    marks = ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>")
    tokenizer = byte_level(LLAMA3, marks)
    begin, end, pad = (tokenizer.token_to_id(mark) for mark in marks)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=marks[0]).save_pretrained(tmp_path)
    config = {
        "architectures": ["CogVLMForCausalLM"],
        "bos_token_id": begin,
        "eos_token_id": [end],
        "pad_token_id": pad,
        "vocab_size": tokenizer.get_vocab_size(),
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    remote(tmp_path, "config.json")
    member = CogVLM2(checkpoint=str(tmp_path), max_length=512, several="tile", exact_rope=True)
    assert member.tokenizer(tmp_path).convert_ids_to_tokens([begin, end, pad]) == list(marks)
    assert not (tmp_path / "executed").exists()
    (tmp_path / "config.json").write_text(json.dumps(config | {"eos_token_id": 10**6}))
    with pytest.raises(ValueError, match="eos_token_id=1000000 is no mark"):
        member.tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "tokenizer.model").unlink(), "tokenizer.json: missing, and neither vocab.json"),
        (lambda folder: (folder / "tokenizer.model").write_bytes(b"torn"), "the tokenizer cannot be read"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("{"), "the tokenizer cannot be read"),
    ],
)
def test_damaged_files_are_one_line(
    damage: Callable[[Path], object], words: str, internlm2: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(internlm2, tmp_path / "copy"))
    damage(folder)
    with pytest.raises(ValueError, match=str(folder)) as error:
        read_tokenizer(folder)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
