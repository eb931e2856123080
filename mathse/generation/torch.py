"""Decoding on the module itself: one picture encoding and one prefill for the n samples of a chat, finished rows leave.

Randomness belongs to the row, not to the batch: the j-th uniform number of a row comes from its own seed, and a token is
drawn by inverting the distribution at that number. So neither batch size nor order changes what a row writes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mathse.backbones import Loaded, Row
from mathse.generation import Completion, Sampling
from mathse.generation.cache import RoomyCache
from mathse.memory import release
from mathse.types import Chat, Turn

PROMPTS = 64  # read together


@torch.no_grad()
def complete(
    loaded: Loaded,
    chats: Sequence[Chat],
    sampling: Sampling,
    seeds: Sequence[str],
    openings: tuple[str, str] | None = None,
) -> list[list[Completion]]:
    """`sampling.samples` completions of each chat, decoded as one batch. `seeds` names each chat's own randomness.

    `openings`: two ways to begin a reply. Where a text goes along with both up to the token in which they part, it gets the
    probability of the first one's token against the second one's.
    """
    n = sampling.samples
    common, parting = fork(loaded, openings) if openings else ([], [])
    rows = [loaded.encode(chat, reply=True) for chat in chats]
    logits, mask, position, cache = read(loaded, rows, sampling.max_new_tokens)
    each = torch.arange(len(chats)).repeat_interleave(n)
    cache.pick(each)
    logits, mask, position = logits[each], mask[each], position[:, each]
    uniform = uniforms([f"{seed}/{j}" for seed in seeds for j in range(n)], sampling)

    chances = torch.full((len(each),), torch.nan, device=logits.device)
    written = torch.full((len(each), sampling.max_new_tokens), -1, device=logits.device)
    finished = torch.zeros(len(each), dtype=torch.bool, device=logits.device)
    alive = torch.arange(len(each), device=logits.device)  # which row of `written` each row of the batch is
    stops = torch.tensor(loaded.stop_ids, device=logits.device)
    for t in range(sampling.max_new_tokens):
        if parting and t == len(common):
            there = (written[alive, :t] == torch.tensor(common, dtype=torch.long, device=logits.device)).all(-1)
            chances[alive[there]] = logits[there][:, parting].softmax(-1)[:, 0]
        token = choose(logits, sampling, uniform[alive, t] if uniform is not None else None)
        written[alive, t] = token
        stopped = torch.isin(token, stops)
        finished[alive[stopped]] = True
        if bool(stopped.all()) or t + 1 == sampling.max_new_tokens:
            break
        if bool(stopped.any()):
            keep = (~stopped).nonzero()[:, 0]
            alive, token, mask, position = alive[keep], token[keep], mask[keep], position[:, keep]
            cache.pick(keep)
        mask = torch.cat([mask, mask.new_ones(len(alive), 1)], 1)
        hidden = loaded.language(loaded.embed(token[:, None]), position, mask, None, cache)
        logits = loaded.head(hidden[:, -1])
        position = position + 1
    release()
    return _texts(loaded, written, finished, chances, n)


def fork(loaded: Loaded, openings: tuple[str, str]) -> tuple[list[int], list[int]]:
    """The tokens that both openings of a reply begin with, and the two next ones. Raises ValueError where they do not part."""
    ask: Chat = (Turn("user", "?"),)
    start = len(loaded.encode(ask, reply=True))
    a, b = (loaded.encode((*ask, Turn("assistant", text)), reply=True).ids.tolist() for text in openings)
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if at is None:
        raise ValueError(f"one of the openings {openings} begins with the other, so nothing decides between them")
    return a[start:at], [a[at], b[at]]


def read(loaded: Loaded, rows: Sequence[Row], extra: int) -> tuple[Tensor, Tensor, Tensor, RoomyCache]:
    """Prompts into the cache, those of similar length together, so that little is spent on padding and on memory.

    Returns the logits (B, V) after each prompt, the mask (B, T), the next position on every axis (A, B, 1), and the cache; rows in the
    order given.
    """
    longest = max(len(row) for row in rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    cache = RoomyCache(loaded.layers, len(rows), longest, extra)
    logits = []
    for start in range(0, len(rows), PROMPTS):
        batch = loaded.batch([rows[i] for i in order[start : start + PROMPTS]], side="left")
        cache.reading(slice(start, start + PROMPTS))
        hidden = loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask, cache)
        logits.append(loaded.head(hidden[:, -1]))
    cache.reading(None)
    back = torch.tensor(order).argsort()
    cache.pick(back)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        mask[i, longest - len(row) :] = 1
    positions = torch.stack([row.positions.amax(-1) + 1 for row in rows], 1)[..., None]
    device = logits[0].device
    return torch.cat(logits)[back], mask.to(device), positions.to(device), cache


def _texts(loaded: Loaded, written: Tensor, finished: Tensor, chances: Tensor, n: int) -> list[list[Completion]]:
    completions = []
    for tokens, ended, chance in zip(written.tolist(), finished.tolist(), chances.tolist(), strict=True):
        ids = [token for token in tokens if token >= 0]
        text = loaded.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        completions.append(Completion(text, ended, len(ids), None if math.isnan(chance) else chance))
    return [completions[i : i + n] for i in range(0, len(completions), n)]


def uniforms(seeds: Sequence[str], sampling: Sampling) -> Tensor | None:
    """(rows, max_new_tokens) numbers in [0, 1), a row for each seed; None for greedy decoding."""
    if sampling.temperature == 0:
        return None
    keys = [int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") for seed in seeds]
    return torch.from_numpy(
        np.stack([np.random.Generator(np.random.Philox(key)).random(sampling.max_new_tokens) for key in keys])
    )


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor | None) -> Tensor:
    """The next token of each row (B,): the likeliest, or drawn from the nucleus of the tempered distribution (B, V)."""
    if uniform is None:
        return logits.argmax(-1)
    probabilities, order = torch.sort(
        (logits.double() / sampling.temperature).softmax(-1), descending=True, stable=True
    )
    before = probabilities.cumsum(-1) - probabilities
    probabilities = torch.where(before < sampling.top_p, probabilities, 0.0)
    cumulative = probabilities.cumsum(-1)
    target = uniform.to(cumulative)[:, None] * cumulative[:, -1:]
    picked = torch.searchsorted(cumulative, target, right=True).clamp(max=logits.shape[-1] - 1)
    return order.gather(-1, picked)[:, 0]
