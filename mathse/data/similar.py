"""How alike questions and pictures are, for more pairs of problems than can be looked at one by one.

Questions are sets of n-grams (three words, or four characters of Chinese), likeness is the share of n-grams that two have in common
(Jaccard). All pairs are computed exactly, by a product of sparse matrices. Numbers count, or all stand for each other
(masked). Choices are n-grams of their own, so that their order does not matter. A picture is a small grey one, whole and without
its margin, and likeness is correlation: size, compression and colours hardly change it (measured by experiments/speed/contamination.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mathse.backbones.pictures import open_picture
from mathse.data.fields import LABEL

if TYPE_CHECKING:
    from PIL.Image import Image

Grams = frozenset[str]
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]  # index of ours, index of theirs, likeness

TOKEN = re.compile(r"\d+(?:\.\d+)?|[\u4e00-\u9fff]|[^\W\d_\u4e00-\u9fff]+")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred "
    "零 一 二 三 四 五 六 七 八 九 十 百 两"
)
NUMBER = frozenset(WORDS.split())
MASK = "0"
SIDE = 16  # pixels of the small picture
MARGIN = 32  # grey levels that what is shown is at least away from the ground
CHUNK = 1000  # questions compared with all of the others at a time


def grams(question: str, choices: Sequence[str] = (), *, masked: bool = False) -> Grams:
    """The n-grams of a question and its choices; `masked`: without telling numbers apart.

    >>> sorted(grams("Find the area of 12.")), sorted(grams("Find the area of 7.", masked=True))
    (['area of 12', 'find the area', 'the area of'], ['area of 0', 'find the area', 'the area of'])
    """
    found: set[str] = set()
    for part in [*LABEL.split(question)[::2], *choices]:
        text = unicodedata.normalize("NFKC", part).casefold()
        tokens = TOKEN.findall(text)
        if masked:
            tokens = [MASK if token[0].isdecimal() or token in NUMBER else token for token in tokens]
            tokens = [t for t, before in zip(tokens, ["", *tokens], strict=False) if (t, before) != (MASK, MASK)]
        n = 4 if 2 * len(CHINESE.findall(text)) > len(tokens) else 3
        found.update(" ".join(tokens[i : i + n]) for i in range(max(1, len(tokens) - n + 1)))
    return frozenset(found - {""})


def numbers(question: str) -> int:
    """How many different numbers a question gives."""
    return len({token for token in TOKEN.findall(question) if token[0].isdecimal()})


def alike(ours: Sequence[Grams], theirs: Sequence[Grams], least: float) -> Iterator[Pairs]:
    """All pairs whose likeness is `least` or more, for CHUNK of ours at a time."""
    from scipy.sparse import csr_array

    known: dict[str, int] = {}
    for one in theirs:
        for gram in one:
            known.setdefault(gram, len(known))

    def matrix(sets: Sequence[Grams]) -> csr_array:
        rows = [[known[gram] for gram in one if gram in known] for one in sets]
        ends = np.cumsum([0, *map(len, rows)])
        columns = np.fromiter((column for row in rows for column in row), np.int32, ends[-1])
        return csr_array((np.ones(len(columns), np.int32), columns, ends), shape=(len(sets), max(1, len(known))))

    turned = matrix(theirs).T.tocsr()
    sizes = np.array([len(one) for one in theirs])
    for start in range(0, len(ours), CHUNK):
        chunk = ours[start : start + CHUNK]
        shared = matrix(chunk) @ turned
        row = np.repeat(np.arange(len(chunk)), np.diff(shared.indptr))
        own = np.array([len(one) for one in chunk])
        likeness = shared.data / (own[row] + sizes[shared.indices] - shared.data)
        near = likeness >= least
        yield row[near] + start, shared.indices[near].astype(np.int64), likeness[near]


def fingerprint(path: str) -> np.ndarray:
    """The picture in float32 (2, SIDE²), of length 1 each: whole, and without its margin. All zeros where it cannot be opened."""
    from PIL import Image as images

    try:
        grey = open_picture(path).convert("L")
    except ValueError:
        return np.zeros((2, SIDE * SIDE), np.float32)
    grey.thumbnail((256, 256), images.Resampling.BOX)
    return np.stack([_small(grey), _small(_inside(grey))])


def _small(grey: Image) -> np.ndarray:
    from PIL import Image as images

    values = np.asarray(grey.resize((SIDE, SIDE), images.Resampling.BOX), np.float32).ravel()
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), np.float32)


def _inside(grey: Image) -> Image:
    """What is shown, without the ground around it."""
    values = np.asarray(grey)
    ground = int(np.bincount(values.ravel(), minlength=256).argmax())
    shown = abs(values.astype(np.int16) - ground) > MARGIN
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return grey
    return grey.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))


def same_picture(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How alike fingerprints (n, 2, SIDE²) are, pair by pair: the pictures as wholes or, twice as strictly, within their margins."""
    whole, inside = np.einsum("nvd,nvd->vn", a, b)
    return np.asarray(np.maximum(whole, 2 * inside - 1))
