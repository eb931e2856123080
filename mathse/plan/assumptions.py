"""What a bill rests on where it is not known yet, and what a GPU is taken to do. All of it is settings (conf/plan), and is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mathse.backbones.flops import Size, size_of
from mathse.settings import Positive, settings

if TYPE_CHECKING:
    from mathse.backbones import Backbone

EIGHT = 8e9  # weights of the model that `decode` is about


@settings
class Published:
    """A published checkpoint, for whoever has not fetched its config.json: weights of the language model that a token passes, of the
    output layer and the picture tower, of an adapter for each unit of its rank; `picture`: tokens of the largest picture."""

    language: int
    head: int
    vision: int
    lora: int
    picture: int


@settings
class Assumptions:
    """`problems`, `test_problems`: how many there are, so that none need be there; None reads the data.

    `accepted`: of what the judge is shown, by who wrote it (distill: the teacher, generate: a model, drafts: the ORM's student,
    reflect: repairs): a share up to 1, a number above. `written`: tokens of a solution, a verdict, and an analysis, by whomever;
    `read`: of the text of a teacher's prompt by step, and of the `question` that a model is asked. `gpu`: its name; `tflops`: dense
    bfloat16; `learning`, `reading`: shares of these that fine-tuning and reading reach (recomputing is no use of them); `decode`:
    tokens a second that a model of 8 billion weights writes in full batches, others in proportion; `gpu_hour_usd`: its price, None for
    none. `published`: by checkpoint, see `Published`.
    """

    problems: Positive | None
    test_problems: Positive | None
    accepted: dict[str, Any]
    written: dict[str, Any]
    read: dict[str, Any]
    gpu: str
    tflops: Annotated[float, "> 0"]
    learning: Annotated[float, "> 0 <= 1"]
    reading: Annotated[float, "> 0 <= 1"]
    decode: Annotated[float, "> 0"]
    gpu_hour_usd: Annotated[float, ">= 0"] | None
    published: dict[str, Any]

    def check(self) -> None:
        for name, keys in (
            ("accepted", ("distill", "generate", "drafts", "reflect")),
            ("written", ("solution", "verdict", "analysis")),
            ("read", ("distill", "annotate", "reflect", "question")),
        ):
            given = getattr(self, name)
            odd = [key for key in keys if not isinstance(given.get(key), (int, float)) or given[key] < 0]
            if odd or set(given) - set(keys):
                raise ValueError(f"plan.{name} should give a number for each of {', '.join(keys)}, got {given}")

    def taken(self, what: str, count: float) -> int:
        """How many of `count` solutions the judge is taken to accept."""
        share = float(self.accepted[what])
        return round(count * share if share <= 1 else min(count, share))

    def seconds(self, size: Size, work: Work) -> float:
        """That one GPU takes."""
        learning = size.learning(work.passed, work.trained) / self.learning
        reading = (size.reading(work.read) + size.seeing(work.picture_tokens)) / self.reading
        writing = work.generated * (size.language + size.head) / EIGHT / self.decode
        return (learning + reading) / (self.tflops * 1e12) + writing

    def member(self, backbone: Backbone, rank: int) -> tuple[Size, int] | None:
        """A backbone's size with an adapter of that rank, and the tokens of its largest picture: from its config.json, from
        `published` where that is not there, else None."""
        try:
            shape = backbone.shape()
        except ValueError:
            checkpoint = str(getattr(backbone, "checkpoint", ""))
            if checkpoint not in self.published:
                return None
            known = Published(**self.published[checkpoint])
            return Size(known.language, rank * known.lora, known.head, known.vision), known.picture
        return size_of(shape, rank), shape.picture


@settings
class Work:
    """Tokens that a step is taken to learn from (`trained` with a label, of all those `passed`), read, write and see."""

    passed: float
    trained: float
    read: float
    generated: float
    picture_tokens: float


def stated(assumed: Assumptions) -> str:
    """The assumptions in words."""

    def taken(what: str) -> str:
        share = float(assumed.accepted[what])
        return f"{share:.0%}" if share <= 1 else f"{share:,.0f}"

    w, r = assumed.written, assumed.read
    counts = [
        f"{count:,} {what} (plan.{name}=null reads them)"
        for name, what in (("problems", "problems"), ("test_problems", "test problems"))
        if (count := getattr(assumed, name)) is not None
    ]
    price = "" if assumed.gpu_hour_usd is None else f", ${assumed.gpu_hour_usd:g} an hour"
    lines = [
        *([f"Assumed are {' and '.join(counts)}."] if counts else []),
        f"Assumed where it is not known yet: the judge accepts {taken('distill')} of the teacher's solutions, "
        f"{taken('generate')} of a model's in a round, {taken('drafts')} of the ORM's students' and {taken('reflect')} of the repairs;",
        f"a solution has {w['solution']} tokens, an analysis {w['analysis']}, a verdict {w['verdict']}, "
        f"a teacher's prompt {r['distill']} to {r['reflect']}, a question {r['question']};",
        "each has one picture, of the largest size here, and for the teacher of what the price table says;",
        'no call is lost or repeated, and no annotation or repair is asked for a second time. "At most" is every answer at the limit of '
        "tokens.",
        f"GPU hours: one {assumed.gpu} of {assumed.tflops:g} TFLOPS (bfloat16), of which fine-tuning reaches {assumed.learning:.0%} and "
        f"reading {assumed.reading:.0%}, that writes {assumed.decode:,.0f} tokens a second with a model of 8 billion weights{price}; "
        "nothing of this was measured here, and every picture is encoded each time.",
    ]
    return "\n".join(lines)
