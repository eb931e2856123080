"""The teacher behind an API (`teacher=openai`): any endpoint that speaks the OpenAI chat format, pictures included.

    python train.py teacher=openai teacher.model=gpt-4o teacher.budget_usd=20                        # $OPENAI_API_KEY
    python train.py teacher=openai teacher.base_url=http://localhost:8000/v1 teacher.key_env=null teacher.model=…   # vLLM, SGLang …

Answers are kept call by call in `cache`, so nothing is asked or paid twice, whatever is killed, changed or run next.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from mathse.settings import Count, Positive, settings
from mathse.store import DOING, Doing
from mathse.teacher import Text
from mathse.teacher.batch import Batches, Batching
from mathse.teacher.calls import Calls, Limits
from mathse.teacher.client import Client
from mathse.teacher.prices import Price, price_of
from mathse.teacher.wire import REPAIR, Answer, Call, Decoding, bare, misfit
from mathse.types import Chat, Turn, language_of

STEPS = ("distill", "annotate", "reflect")


@settings
class ApiTeacher:
    """A model and how it decodes; these are what its answers depend on. All other fields say how it is reached and what it may cost.

    `served_as`: the name that it answers under, where that is another (Azure deployments, llama.cpp); `limit_as`: what the endpoint calls
    the limit of tokens; 0 requests or tokens a minute is no limit.
    """

    execution: ClassVar[tuple[str, ...]] = (
        "way",
        "base_url",
        "key_env",
        "served_as",
        "limit_as",
        "concurrency",
        "requests_per_minute",
        "tokens_per_minute",
        "retries",
        "backoff",
        "timeout",
        "prices",
        "budget_usd",
        "step_budgets_usd",
        "cache",
        "batching",
    )

    group: ClassVar[str] = "teacher"  # of conf/, for what is said to users

    model: str
    temperature: Annotated[float, ">= 0"] | None
    top_p: Annotated[float, "> 0 <= 1"] | None
    max_tokens: Positive
    seed: int | None
    way: Literal["call", "batch"]
    base_url: str
    key_env: str | None
    served_as: str | None
    limit_as: Literal["max_tokens", "max_completion_tokens"]
    concurrency: Positive
    requests_per_minute: Count
    tokens_per_minute: Count
    retries: Count
    backoff: Annotated[float, ">= 0"]
    timeout: Annotated[float, "> 0"]
    prices: dict[str, Any]
    budget_usd: float | None
    step_budgets_usd: dict[str, float | None]
    cache: str
    batching: Batching

    def check(self) -> None:
        # Errors here never repeat a value that could be a key in the wrong place.
        if self.key_env is not None and not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", self.key_env):
            raise ValueError(
                f"{self.group}.key_env should be the NAME of an environment variable, e.g. OPENAI_API_KEY; keys never stand in settings"
            )
        if not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", self.base_url):
            raise ValueError(
                f"{self.group}.base_url should look like https://host/v1, without user, password or query; the key goes in the environment"
            )
        unknown = set(self.step_budgets_usd) - set(STEPS)
        if unknown:
            raise ValueError(
                f"{self.group}.step_budgets_usd: there is no step {min(unknown)!r}; they are {', '.join(STEPS)}"
            )
        capped = [cap for cap in (self.budget_usd, *self.step_budgets_usd.values()) if cap is not None]
        if odd := [cap for cap in capped if not isinstance(cap, (int, float)) or not cap >= 0]:
            raise ValueError(
                f"{self.group}.step_budgets_usd and budget_usd should be dollars, 0 or more, got {odd[0]!r}"
            )
        if capped and self.price is None:
            raise ValueError(
                f"{self.group}.budget_usd: no price of {self.model!r} in {self.group}.prices, so no budget can be held; add its price, "
                "or take no budget"
            )

    @functools.cached_property
    def price(self) -> Price | None:
        return price_of(self.prices, self.model)

    @property
    def share(self) -> float:
        """The share of the price that a call costs, the way it is asked."""
        return self.batching.share if self.way == "batch" else 1.0

    def dollars(self, tokens_in: float, tokens_cached: float, tokens_out: float) -> float:
        """What so many tokens cost; 0 where the model has no price."""
        return self.price.dollars(tokens_in, tokens_cached, tokens_out) if self.price else 0.0

    def key(self) -> str:
        """The key, read from the environment each time it is needed, and kept nowhere. Raises ValueError where there is none."""
        if self.key_env is None:
            return ""
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise ValueError(
                f"{self.group}: set ${self.key_env} to the key of {self.base_url}, or {self.group}.key_env=null where none is needed"
            )
        return key

    def limits(self, payer: Doing) -> Limits:
        """What holds while `payer` asks."""
        step = self.step_budgets_usd.get(payer.step.rpartition("-")[0])
        return Limits(self.concurrency, self.requests_per_minute, self.tokens_per_minute, self.budget_usd, step)

    def is_model(self, name: str) -> bool:
        """Whether an answer under this name is by the model that was asked: its name, one of its snapshots, or `served_as`."""
        snapshot = name.removeprefix(self.model)
        return name in ("", self.served_as) or (
            snapshot != name and bool(re.fullmatch(r"(-\d[\d-]*|:latest)?", snapshot))
        )

    def __call__(self, chats: Sequence[Chat], *, schema: dict[str, Any] | None = None, index: int = 0) -> list[str]:
        """See `Teacher`. Texts are `Text`, which know whether they were cut or refused.

        With `schema`, a text that does not fit it is sent back once to be repaired; what does not fit then is the caller's to judge.
        Raises TeacherStops or Spent, in one line, where asking on makes no sense; all answers are kept.
        """
        calls = self.calls(chats, schema, index)
        with Calls(Path(self.cache)) as known:
            answers = self._ask(calls, known)
            if schema is not None:
                problems = [misfit(bare(answer.text), schema) if answer.ended == "stop" else "" for answer in answers]
                broken = [i for i, problem in enumerate(problems) if problem]
                repairs = [_repair(calls[i], answers[i].text, problems[i]) for i in broken]
                for i, answer in zip(broken, self._ask(repairs, known), strict=True):
                    answers[i] = answer
        return [Text(answer.text if schema is None else bare(answer.text), answer.ended) for answer in answers]

    def _ask(self, calls: Sequence[Call], known: Calls) -> list[Answer]:
        """Nothing is sent, and no key needed, where all is known."""
        answers = {call.key: known.find(call.key) for call in calls}
        missing = [call for call in calls if answers[call.key] is None]
        if missing:
            answers |= asyncio.run(self._ask_endpoint(Client(self, known, DOING.get()), missing))
        return [answer for call in calls if (answer := answers[call.key]) is not None]

    async def _ask_endpoint(self, client: Client, calls: Sequence[Call]) -> dict[str, Answer]:
        """The answers by key."""
        answers: dict[str, Answer] = {}
        if (
            self.way == "batch" or client.calls.batches()
        ):  # sent by an earlier run: waited for, not asked and paid again
            await Batches(client).ask(calls, send=self.way == "batch")
            answers = {call.key: answer for call in calls if (answer := client.calls.find(call.key))}
        rest = [call for call in calls if call.key not in answers]
        return answers | {call.key: answer for call, answer in zip(rest, await client.ask(rest), strict=True)}

    def calls(self, chats: Sequence[Chat], schema: Mapping[str, Any] | None = None, index: int = 0) -> list[Call]:
        """What asking these chats would ask."""
        decoding = Decoding(self.temperature, self.top_p, self.max_tokens, self.seed)
        return [Call(self.model, decoding, chat, schema, index) for chat in chats]

    def spent(self) -> Mapping[str, float]:
        """See `Paid`: of the step in progress. Without a price there are no dollars."""
        with Calls(Path(self.cache)) as known:
            counts = dict(known.spent(step=DOING.get().step))
        dollars = {"dollars": counts.pop("dollars"), "dollars_lost": counts.pop("lost")}
        return {"calls_paid": counts.pop("calls"), **counts, **(dollars if self.price else {})}


def _repair(call: Call, text: str, problem: str) -> Call:
    """The call that sends an answer back which does not fit its schema."""
    asked = REPAIR[language_of(call.chat[0].text)].format(problem=problem)
    return dataclasses.replace(call, chat=(*call.chat, Turn("assistant", text), Turn("user", asked)))
