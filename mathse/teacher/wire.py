"""The OpenAI chat format: what a call is, its key in the cache, the body that is sent, the answer that comes back."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.teacher import Ending
from mathse.types import Chat, language_of

if TYPE_CHECKING:
    from PIL.Image import Image

MAGIC = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}  # what every endpoint reads
AT_THE_LIMIT = {"length", "max_tokens", "model_length"}  # what endpoints call it
OF_ITS_OWN = {"", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "tool_calls", "function_call"}
MOST_TOKENS = 10**8  # of one call; a count beyond is no count
OVERHEAD = 16  # most tokens that a chat template adds to a turn

# Where the endpoint cannot hold an answer to a schema, the chat asks for it.
FORM = {
    "en": "\n\nReply with one JSON object of this JSON schema and nothing else:\n{schema}",
    "zh": "\n\n只回复一个符合下面 JSON schema 的 JSON 对象，不要写其他内容：\n{schema}",
}
REPAIR = {
    "en": "That is not what was asked for: {problem}. Reply with the corrected JSON object and nothing else.",
    "zh": "这不符合要求：{problem}。只回复改正后的 JSON 对象，不要写其他内容。",
}


class Garbled(Exception):
    """What came back is no answer in the chat format, or not the whole of one."""


@dataclass(frozen=True)
class Decoding:
    """How the model writes; None leaves it to the endpoint."""

    temperature: float | None
    top_p: float | None
    max_tokens: int
    seed: int | None


@dataclass(frozen=True)
class Call:
    """One question to one model. Equal calls have equal keys; `index` tells the tries of one chat apart."""

    model: str
    decoding: Decoding
    chat: Chat
    schema: Mapping[str, Any] | None = None
    index: int = 0

    @functools.cached_property
    def key(self) -> str:
        """The sha256 of everything that decides the answer, pictures by content."""
        turns = [[turn.role, turn.text, [_digest(image) for image in turn.images]] for turn in self.chat]
        decoding = {name: getattr(self.decoding, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
        asked = {"model": self.model, **decoding, "turns": turns, "schema": self.schema, "index": self.index}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @property
    def pictures(self) -> int:
        return sum(len(turn.images) for turn in self.chat)

    def most_read(self, picture: int) -> int:
        """At least as many tokens as the prompt can count: no tokeniser of bytes makes more tokens than there are bytes."""
        texts = [turn.text for turn in self.chat]
        if self.schema is not None:
            texts.append(self._form())
        return sum(len(text.encode()) + OVERHEAD for text in texts) + picture * self.pictures

    def likely(self, picture: int) -> int:
        """About as many tokens as the call counts for an endpoint's own limits: four bytes a token, and all that it may write."""
        return self.most_read(0) // 4 + picture * self.pictures + self.decoding.max_tokens

    def body(self, *, limit_as: str, json_schema: bool) -> dict[str, Any]:
        """The request. Without `json_schema` the chat itself asks for the form."""
        messages: list[dict[str, Any]] = [
            {"role": turn.role, "content": _content(turn.text, turn.images)} for turn in self.chat
        ]
        d = self.decoding
        seed = None if d.seed is None else d.seed + self.index
        options: dict[str, Any] = {"temperature": d.temperature, "top_p": d.top_p, "seed": seed, limit_as: d.max_tokens}
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        body |= {name: value for name, value in options.items() if value is not None}
        if self.schema is not None and json_schema:
            form = {"name": "reply", "strict": True, "schema": self.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif self.schema is not None:
            first = messages[0]["content"]
            if isinstance(first, list):
                first[-1]["text"] += self._form()
            else:
                messages[0]["content"] = first + self._form()
        return body

    def _form(self) -> str:
        return FORM[language_of(self.chat[0].text)].format(schema=json.dumps(self.schema, ensure_ascii=False))


@dataclass(frozen=True)
class Answer:
    """What the endpoint answered. `tokens_cached` are those of `tokens_in` that it had cached; `counted` is false where it gave no
    counts."""

    text: str
    ended: Ending
    model: str = ""
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    counted: bool = True


def read(data: Any) -> Answer:
    """The answer in a response's JSON. Raises Garbled where there is none, or where its `finish_reason` does not say that the model
    came to an end: an endpoint that breaks off (error, abort, insufficient_system_resource …) sends what there is with status 200."""
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        if not (content is None or isinstance(content, str)) or not isinstance(data.get("model") or "", str):
            raise TypeError
        text, model = content or str(refusal or ""), data.get("model") or ""
        (text + model).encode()
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeEncodeError) as error:
        raise Garbled(f"an answer that is none in the chat format ({type(error).__name__})") from None
    finish = str(choice.get("finish_reason") or "").lower()
    ended: Ending = "length" if finish in AT_THE_LIMIT else "stop"
    if refusal or finish.startswith("content_filter") or (not text.strip() and finish in OF_ITS_OWN):
        ended = "refused"
    elif finish not in AT_THE_LIMIT | OF_ITS_OWN:
        raise Garbled(f"an answer that broke off (finish_reason {finish[:40]!r})")
    counts = _counts(data.get("usage"))
    return Answer(text, ended, model, *(counts or (0, 0, 0)), counted=counts is not None)


def _counts(usage: Any) -> tuple[int, int, int] | None:
    """The tokens read, of these cached, and written; None where they are not given or cannot be."""
    try:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        counts = (int(usage["prompt_tokens"]), int(cached), int(usage.get("completion_tokens") or 0))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    return counts if 0 <= counts[1] <= counts[0] < MOST_TOKENS and counts[0] and 0 <= counts[2] < MOST_TOKENS else None


def misfit(text: str, schema: Mapping[str, Any]) -> str:
    """Why the text is no JSON object of the schema (its types, required names and allowed values), in a few words; empty if it is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "it is no JSON"
    if not isinstance(data, dict):
        return "it is no JSON object"
    for name in schema["required"]:
        if name not in data:
            return f"{name} is missing"
    for name, rule in schema["properties"].items():
        kinds = rule.get("type", [])
        if name in data and "enum" in rule and data[name] not in rule["enum"]:
            return f"{name} should be one of {', '.join(map(str, rule['enum']))}"
        if name in data and kinds and _kind(data[name]) not in ([kinds] if isinstance(kinds, str) else kinds):
            return f"{name} should be {kinds if isinstance(kinds, str) else ' or '.join(kinds)}"
    return ""


def bare(text: str) -> str:
    """The JSON object in a text that wraps it in words or a code fence; the text itself where there is none."""
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def _kind(value: Any) -> str:
    kinds = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")


def _content(text: str, images: tuple[str | Image, ...]) -> str | list[dict[str, Any]]:
    if not images:
        return text
    parts: list[dict[str, Any]] = []
    for image in images:
        kind, data = _encoded(image)
        url = f"data:{kind};base64,{base64.b64encode(data).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return [*parts, {"type": "text", "text": text}]


def _encoded(image: str | Image) -> tuple[str, bytes]:
    """Media type and bytes of a picture: a file as it is, if endpoints read its format, and as PNG otherwise."""
    from mathse.backbones.pictures import open_picture

    if isinstance(image, str):
        try:
            data = Path(image).read_bytes()
        except OSError as error:
            raise ValueError(f"picture {image}: {error.strerror}; the data set's folder was changed") from None
        for magic, kind in MAGIC.items():
            if data.startswith(magic):
                return kind, data
    buffer = io.BytesIO()
    open_picture(image).save(buffer, "PNG")
    return "image/png", buffer.getvalue()


def _digest(image: str | Image) -> str:
    return hashlib.sha256(_encoded(image)[1]).hexdigest()
