"""Decoding on the module itself: one picture encoding and one prefill for the n samples of a chat, finished rows leave.

Chats about one problem that begin alike (several solutions to be judged) share the reading of what they begin with.

Randomness belongs to the row, not to the batch: the j-th uniform number of a row comes from its own seed, and a token is
drawn by inverting the distribution at that number. So neither batch size nor order changes what a row writes, as long as numbers are
float32, which they are on a CPU. In bfloat16, as on a GPU, another batch size may decide a near tie otherwise (experiments/LOG.md).
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mathse.backbones import Batch, Loaded, Row
from mathse.generation import Completion, Sampling
from mathse.generation.cache import RoomyCache
from mathse.memory import release
from mathse.store.work import count
from mathse.types import Chat, Turn

PROMPTS = 64  # read together
SHORTEST = 16  # tokens; a shorter beginning is not worth a reading of its own


@torch.no_grad()
def complete(
    loaded: Loaded,
    chats: Sequence[Chat],
    sampling: Sampling,
    seeds: Sequence[str],
    *,
    about: Sequence[str] | None = None,
    until: Callable[[int, str], bool] | None = None,
    openings: tuple[str, str] | None = None,
) -> list[list[Completion]]:
    """`sampling.samples` completions of each chat, decoded as one batch. `seeds` names each chat's own randomness.

    `about` names what each chat is about: those about the same are read together as far as they begin alike. `until` is given a
    chat's number and its text after each token, and says whether enough is written. A chat that is longer than the backbone
    takes is not answered; its completions are `refused`. `openings`: two ways to begin a reply. Where a text goes along with both
    up to the token in which they part, it gets the probability of the first one's token against the second one's.
    """
    rows = [loaded.encode(chat, reply=True) for chat in chats]
    refused = [too_long(loaded, row) for row in rows]
    fits = [i for i, why in enumerate(refused) if not why]
    made = iter(
        _decode(
            loaded,
            [rows[i] for i in fits],
            sampling,
            [seeds[i] for i in fits],
            [about[i] for i in fits] if about else None,
            (lambda i, text: until(fits[i], text)) if until else None,
            openings,
        )
        if fits
        else ()
    )
    return [[Completion("", False, 0, refused=why)] * sampling.samples if why else next(made) for why in refused]


def too_long(loaded: Loaded, row: Row) -> str:
    """Why a chat cannot be answered, in words; empty where it can."""
    fits = loaded.max_length is None or len(row) <= loaded.max_length
    return "" if fits else f"the chat takes {len(row)} tokens, more than backbone.max_length={loaded.max_length}"


def _decode(
    loaded: Loaded,
    rows: Sequence[Row],
    sampling: Sampling,
    seeds: Sequence[str],
    about: Sequence[str] | None,
    until: Callable[[int, str], bool] | None,
    openings: tuple[str, str] | None,
) -> list[list[Completion]]:
    n = sampling.samples
    common, parting = fork(loaded, openings) if openings else ([], [])
    logits, mask, position, cache = read(loaded, rows, sampling.max_new_tokens, about)
    each = torch.arange(len(rows)).repeat_interleave(n)
    cache.pick(each)
    logits, mask, position = logits[each], mask[each], position[:, each]
    uniform = uniforms([f"{seed}/{j}" for seed in seeds for j in range(n)], sampling)
    uniform = uniform.to(logits.device) if uniform is not None else None

    chances = torch.full((len(each),), torch.nan, device=logits.device)
    written = torch.full((len(each), sampling.max_new_tokens), -1, device=logits.device)
    finished = torch.zeros(len(each), dtype=torch.bool, device=logits.device)
    enough = finished.clone()
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
        done = stopped
        if until:
            texts = [loaded.tokenizer.decode(ids, skip_special_tokens=True) for ids in written[alive, : t + 1].tolist()]
            said = [until(i // n, text) for i, text in zip(alive.tolist(), texts, strict=True)]
            enough[alive] = torch.tensor(said, device=logits.device) & ~stopped
            done = stopped | enough[alive]
        if bool(done.all()) or t + 1 == sampling.max_new_tokens:
            break
        if bool(done.any()):
            keep = (~done).nonzero()[:, 0]
            alive, token, mask, position = alive[keep], token[keep], mask[keep], position[:, keep]
            cache.pick(keep)
        mask = torch.cat([mask, mask.new_ones(len(alive), 1)], 1)
        hidden = loaded.language(loaded.embed(token[:, None]), position, mask, None, cache)
        logits = loaded.head(hidden[:, -1])
        position = position + 1
    release()
    return _texts(loaded, written, finished, enough, chances, n)


def fork(loaded: Loaded, openings: tuple[str, str]) -> tuple[list[int], list[int]]:
    """The tokens that both openings of a reply begin with, and the two next ones. Raises ValueError where they do not part."""
    ask: Chat = (Turn("user", "?"),)
    start = len(loaded.encode(ask, reply=True))
    a, b = (loaded.encode((*ask, Turn("assistant", text)), reply=True).ids.tolist() for text in openings)
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if at is None:
        raise ValueError(f"one of the openings {openings} begins with the other, so nothing decides between them")
    return a[start:at], [a[at], b[at]]


def read(
    loaded: Loaded, rows: Sequence[Row], extra: int, about: Sequence[str] | None = None
) -> tuple[Tensor, Tensor, Tensor, RoomyCache]:
    """Prompts into the cache, those of similar length together, so that little is spent on padding and on memory.

    Returns the logits (B, V) after each prompt, the mask (B, T), the next position on every axis (A, B, 1), and the cache; rows in the
    order given. `about`: see `complete`.
    """
    longest = max(len(row) for row in rows)
    cache = RoomyCache(loaded.layers, len(rows), longest, extra)
    groups = alike(loaded, rows, about) if about else []
    begun = dict.fromkeys(range(len(rows)), 0)  # tokens of each row that are read with its group's beginning
    for members, length in groups:
        begun.update(dict.fromkeys(members, length))
    order = sorted(begun, key=lambda i: (begun[i] > 0, len(rows[i]) - begun[i]))
    if groups:
        _read_beginnings(loaded, rows, groups, order, cache)
    logits = []
    alone = sum(not length for length in begun.values())
    for start, end in [*_parts(0, alone), *_parts(alone, len(rows))]:
        some = order[start:end]
        batch = loaded.batch([rows[i].cut(begun[i])[1] if begun[i] else rows[i] for i in some], side="left")
        mask = _mask([len(rows[i]) for i in some]).to(batch.mask.device)
        behind = mask.shape[1] - batch.mask.shape[1]
        cache.reading(slice(start, end), behind, batch.mask == 1 if start >= alone else None)
        _reads(loaded, batch)
        hidden = loaded.language(batch.embeds, batch.positions, mask, batch.picture_mask, cache)
        logits.append(loaded.head(hidden[:, -1]))
    cache.reading(None)
    back = torch.tensor(order).argsort()
    cache.pick(back)
    positions = torch.stack([row.positions.amax(-1) + 1 for row in rows], 1)[..., None]
    device = logits[0].device
    return torch.cat(logits)[back], _mask([len(row) for row in rows]).to(device), positions.to(device), cache


def alike(loaded: Loaded, rows: Sequence[Row], about: Sequence[str]) -> list[tuple[list[int], int]]:
    """The groups of rows about the same that begin alike, and with how many tokens: pictures and all, if there are any."""
    named: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(about):
        named[name].append(i)
    groups = []
    for members in named.values():
        first, *others = [rows[i] for i in members]
        length = min(len(rows[i]) for i in members) - 1  # something of each is left, to be gone on from
        for other in others if all(other.pictures == first.pictures for other in others) else ():
            same = first.ids[:length] == other.ids[:length]
            same &= (first.positions[:, :length] == other.positions[:, :length]).all(0)
            length = length if bool(same.all()) else int(same.int().argmin())
        pictures = int((first.ids == loaded.picture_id).nonzero().max()) + 2 if first.pictures else 0  # and a token
        if others and length >= max(SHORTEST, pictures) and all(row.pictures == first.pictures for row in others):
            groups.append((members, length))
    return groups


def _read_beginnings(
    loaded: Loaded, rows: Sequence[Row], groups: Sequence[tuple[list[int], int]], order: list[int], cache: RoomyCache
) -> None:
    """Read what each group begins with, once, and copy it to its rows: their places are those of `order`, aligned on the right."""
    groups = sorted(groups, key=lambda group: group[1])
    widest = groups[-1][1]
    once = RoomyCache(loaded.layers, len(groups), widest, 0)
    for start, end in _parts(0, len(groups)):
        batch = loaded.batch([rows[members[0]].cut(length)[0] for members, length in groups[start:end]], side="left")
        once.reading(slice(start, end))
        _reads(loaded, batch)
        loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask, once)
    places = {i: place for place, i in enumerate(order)}
    there, here = [], []
    for group, (members, length) in enumerate(groups):
        for i in members:
            tokens, row = torch.arange(length), torch.ones(length, dtype=torch.long)
            there.append(torch.stack([row * group, tokens + widest - length]))
            here.append(torch.stack([row * places[i], tokens + cache.prompt - len(rows[i])]))
    cache.copy(once, tuple(torch.cat(there, 1)), tuple(torch.cat(here, 1)))


def _reads(loaded: Loaded, batch: Batch) -> None:
    tokens = int(batch.mask.sum())
    count(tokens_read=tokens, flops=loaded.size.reading(tokens))


def _parts(start: int, end: int) -> list[tuple[int, int]]:
    return [(at, min(at + PROMPTS, end)) for at in range(start, end, PROMPTS)]


def _mask(lengths: Sequence[int]) -> Tensor:
    """(B, longest): 1 for each row's tokens, which are aligned on the right."""
    longest = max(lengths)
    return (torch.arange(longest) >= longest - torch.tensor(lengths)[:, None]).long()


def _texts(
    loaded: Loaded, written: Tensor, finished: Tensor, enough: Tensor, chances: Tensor, n: int
) -> list[list[Completion]]:
    completions = []
    ends = zip(written.tolist(), finished.tolist(), enough.tolist(), chances.tolist(), strict=True)
    for tokens, ended, stopped, chance in ends:
        ids = [token for token in tokens if token >= 0]
        text = loaded.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=True)
        known = None if math.isnan(chance) else chance
        count(tokens_generated=len(ids), flops=loaded.size.writing(len(ids)))
        completions.append(Completion(text, ended, len(ids), stopped, chance=known))
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
