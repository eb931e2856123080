"""How much faster is judging than asking about each solution on its own? Four solutions a problem, the ORM of the default run.

    python experiments/speed/judging.py [--problems 40 --repeats 3] [seed=0 …]

Asks right or wrong about the same solutions in five ways, one after the other and again, and prints the seconds of each (the least
of the repeats), tokens written, and how many times as fast as the first way it is. The first is each pair on its own from scratch:
picture, prompt and whole verdict. The last is what the judge step does. Stops where two ways disagree on a status. The ORM and the
solutions come from the store.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mathse.config import load
from mathse.feedback.asking import ask_for_verdict, verdict_of
from mathse.feedback.orm import Orm, TrainedOrm
from mathse.feedback.verdicts import settled
from mathse.generation import Completion, Sampling
from mathse.steps.data import draw, remaining
from mathse.steps.data import load as load_problems
from mathse.steps.distill import distill
from mathse.store import Artifact, Store
from mathse.types import Chat, Model, Solution, read_jsonl

Way = Callable[[], list[Completion]]


def prepared(overrides: Sequence[str]) -> tuple[TrainedOrm, Any, list[Solution]]:
    """The ORM, the runtime, and the solutions that were sampled for its training, several of each problem."""
    exp = load(*overrides)
    assert isinstance(exp.orm, Orm)
    store = Store(Path(exp.store), exp.runtime)
    made: list[tuple[Artifact, dict[str, Any]]] = []

    def run(step: Callable[..., Any], /, **inputs: Any) -> Artifact:
        artifact = store.run(step, **inputs)
        made.append((artifact, inputs))
        return artifact

    problems = run(load_problems, data=exp.data)
    kept = run(draw, problems=problems, size=exp.orm_problems, seed="orm")
    seed = run(draw, problems=run(remaining, problems=problems, solved=[kept]), size=exp.seed_size, seed=exp.seed)
    taught = run(distill, problems=seed, teacher=exp.teacher)
    orm = exp.orm.prepare(run, taught, kept, Model(exp.backbone))
    drafts = next(artifact for artifact, inputs in made if artifact.step == "generate")
    return orm, exp.runtime, read_jsonl(Solution, drafts.path / "solutions.jsonl")


def with_opened(chat: Chat) -> Chat:
    """The chat with pictures instead of their paths, so that nothing remembers them."""
    from mathse.backbones.pictures import open_picture

    return tuple(dataclasses.replace(turn, images=tuple(map(open_picture, turn.images))) for turn in chat)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    args, overrides = parser.parse_known_args()
    orm, runtime, drafts = prepared(overrides)

    from mathse.generation.torch import complete
    from mathse.steps.generate import loaded

    of = Counter(solution.problem.id for solution in drafts)
    chosen = [name for name, count in of.items() if count == 4][: args.problems]
    solutions = [solution for solution in drafts if solution.problem.id in chosen]
    model = loaded(orm.model, runtime)
    greedy = Sampling(temperature=0.0, top_p=1.0, samples=1, max_new_tokens=orm.max_new_tokens)
    chats = [ask_for_verdict(solution, orm.use_reference) for solution in solutions]
    about = [solution.problem.id for solution in solutions]

    def asked(size: int, *, share: bool = False, stop: bool = False, remember: bool = True) -> list[Completion]:
        said: list[Completion] = []
        for start in range(0, len(chats), size):
            some = slice(start, start + size)
            until = (lambda i, text, at=start: settled(text, solutions[at + i].text) is not None) if stop else None
            put = chats[some] if remember else [with_opened(chat) for chat in chats[some]]
            tries = complete(model, put, greedy, about[some], about=about[some] if share else None, until=until)
            said += [words for (words,) in tries]
        return said

    batch = runtime.batch_size
    ways: dict[str, Way] = {
        "each on its own, from scratch": lambda: asked(1, remember=False),
        "each on its own, pictures remembered": lambda: asked(1),
        f"{batch} at a time": lambda: asked(batch),
        "… and stopped at the status": lambda: asked(batch, stop=True),
        "… and shared beginnings: the judge step": lambda: asked(batch, stop=True, share=True),
    }
    seconds = dict.fromkeys(ways, float("inf"))
    tokens, statuses = {}, {}
    asked(batch)  # what is done once: kernels, pictures
    for _ in range(args.repeats):
        for name, way in ways.items():
            begun = time.perf_counter()
            said = way()
            seconds[name] = min(seconds[name], time.perf_counter() - begun)
            tokens[name] = sum(words.tokens for words in said)
            statuses[name] = [
                verdict_of(words, orm.by, solution.text).status for words, solution in zip(said, solutions, strict=True)
            ]
    first = next(iter(ways))
    judged = [verdict.status for verdict in orm(solutions, runtime, why=False)]
    assert all(said == judged for said in statuses.values()), "the ways disagree on a status"
    print(f"{len(solutions)} solutions of {len(chosen)} problems: {dict(Counter(judged))}, the same in every way\n")
    print("| asked | seconds | tokens written | times as fast |\n|---|---|---|---|")
    for name in ways:
        print(f"| {name} | {seconds[name]:.2f} | {tokens[name]} | {seconds[first] / seconds[name]:.1f} |")


if __name__ == "__main__":
    main()
