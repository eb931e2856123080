"""Asks an endpoint many calls at once, and knows what to do with whatever comes back.

- 429, 5xx, cut connections, time-outs and garbled answers are tried again, later and later, with jitter; `retry-after` holds everybody.
- 401, 403, a model that is not there, an exhausted quota and a request that the endpoint does not take end it at once, in one line.
  What is in flight may still come home; nothing new is sent.
- A refusal and an answer cut at the token limit are answers: stored as what they are.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from mathse.progress import progress
from mathse.store import Doing
from mathse.teacher.calls import ELSEWHERE, Calls, Spent
from mathse.teacher.errors import KEPT, Again, NoSchema, TeacherStops, outcome, without_key
from mathse.teacher.prices import PICTURE
from mathse.teacher.wire import Answer, Call, read

if TYPE_CHECKING:
    import openai

    from mathse.teacher.openai import ApiTeacher

RAMP = 0.0005  # seconds from one call's start to the next: answers that come all at once wait for one another, again and again
LONGEST_PAUSE = 60.0  # seconds between two tries where the endpoint does not say
LONGEST_WAIT = 3600.0  # seconds that an endpoint may ask to wait; for a daily quota it is better to come back


class Client:
    """One endpoint, asked on behalf of `payer`."""

    def __init__(self, teacher: ApiTeacher, calls: Calls, payer: Doing) -> None:
        self.teacher, self.calls, self.payer = teacher, calls, payer
        self.price = teacher.price
        self.limits = teacher.limits(payer)
        self.plain = f"no json_schema at {teacher.base_url}"
        self.stopped: Exception | None = None
        self.asked: dict[str, asyncio.Future[Answer]] = {}
        self.door = asyncio.Lock()
        self.said: set[str] = set()

    async def ask(self, calls: Sequence[Call]) -> list[Answer]:
        """The answer to each call, in order; equal calls are asked once. Raises TeacherStops or Spent."""
        if not calls:
            return []
        answers: list[Answer | None] = [None] * len(calls)
        todo = iter(enumerate(calls))
        with progress("asking the teacher", len(calls), "calls") as shown, unsearched():
            workers = min(self.limits.concurrency, len(calls))
            async with connection(self.teacher) as api:

                async def work(place: int) -> None:
                    await asyncio.sleep(place * RAMP)
                    for i, call in todo:
                        if self.stopped:
                            return
                        try:
                            answers[i] = await self._once(api, call)
                        except (TeacherStops, Spent, ValueError, OSError) as error:
                            self.stopped = self.stopped or error
                            return
                        shown.advance(1)

                await asyncio.gather(*(work(place) for place in range(workers)))
        if self.stopped:
            raise self.stopped
        return [answer for answer in answers if answer is not None]

    async def _once(self, api: openai.AsyncOpenAI, call: Call) -> Answer:
        """An answer per key, however many want it at the same time."""
        if call.key in self.asked:
            return await self.asked[call.key]
        future = self.asked[call.key] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(await self._answer(api, call))
        except Exception as error:
            future.set_exception(error)
            future.exception()  # looked at: nobody else may be waiting for it
            raise
        finally:
            future.cancel()  # where neither came of it
            del self.asked[call.key]
        return future.result()

    async def _answer(self, api: openai.AsyncOpenAI, call: Call) -> Answer:
        """The answer from the cache or, however many tries it takes, from the endpoint."""
        most, tokens, tries = self.most(call), call.likely(self.picture), 0
        while True:
            found = await self._admitted(call, most, tokens)
            if found:
                return found
            try:
                answer = await self._sent(api, call)
            except BaseException as error:
                # What was on its way when we were cancelled may be charged all the same.
                charged = error.charged if isinstance(error, Again) else isinstance(error, asyncio.CancelledError)
                self.calls.fail(call.key, self.payer, most if charged else 0.0)
                if isinstance(error, NoSchema):
                    self.calls.learn(self.plain)
                    continue
                if not isinstance(error, Again):
                    raise
                tries += 1
                pause = self.pause(error, tries)
            else:
                return self._settled(call, answer, tokens)
            await asyncio.sleep(pause)

    def pause(self, again: Again, tries: int) -> float:
        """The seconds before the next try. Raises TeacherStops where there should be none."""
        teacher = self.teacher
        if tries > teacher.retries:
            raise TeacherStops(f"{teacher.base_url}: {again}, {tries} times for one call. {KEPT}")
        if again.wait is not None and again.wait > LONGEST_WAIT:
            raise TeacherStops(f"{teacher.base_url} asks to wait {again.wait / 3600:.1f} hours. {KEPT}")
        if f"{again}" not in self.said:
            self.said.add(f"{again}")
            print(f"  teacher: {teacher.base_url}: {again}; trying again", flush=True)
        if again.wait is not None:
            self.calls.hold(again.wait)
            return random.uniform(0.0, teacher.backoff)  # after what the endpoint asked for, not all at once
        return min(LONGEST_PAUSE, teacher.backoff * 2.0 ** (tries - 1) * random.uniform(0.5, 1.5))

    async def _admitted(self, call: Call, most: float, tokens: int) -> Answer | None:
        """The answer, if another process got it meanwhile; None when the call may be sent. Raises Spent."""
        while True:
            async with self.door:  # one waits for all, first come, first served
                if self.stopped:
                    raise self.stopped
                wait = self.calls.admit(call.key, self.payer, most, tokens, self.limits)
                if isinstance(wait, Answer):
                    return wait
                if not wait:
                    return None
                if wait > ELSEWHERE:
                    await asyncio.sleep(min(wait, 1.0))
                    continue
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))

    async def _sent(self, api: openai.AsyncOpenAI, call: Call) -> Answer:
        """The answer, by one request. Raises Again, NoSchema or TeacherStops."""
        structured = call.schema is not None and not self.calls.known(self.plain)
        body = call.body(limit_as=self.teacher.limit_as, json_schema=structured)
        # An endpoint that knows idempotency keys does not charge twice for a call whose answer was lost on the way.
        options: Any = {"headers": {"Idempotency-Key": call.key}}

        async def send() -> Answer:
            return read(await api.post("/chat/completions", body=body, cast_to=object, options=options))

        return await outcome(self.teacher, send, structured=structured)

    def checked(self, answer: Answer) -> Answer:
        """The answer as it can be kept. Raises TeacherStops where another model wrote it than was asked."""
        if not self.teacher.is_model(answer.model):
            raise TeacherStops(
                f"{self.teacher.base_url} answers as {answer.model!r} when asked for {self.teacher.model!r}; if they are the same, "
                f"say so with {self.teacher.group}.served_as={answer.model}"
            )
        return dataclasses.replace(answer, text=without_key(self.teacher, answer.text))

    def _settled(self, call: Call, answer: Answer, tokens: int) -> Answer:
        """The answer, stored and paid for."""
        dollars = self.most(call)
        if answer.counted:
            dollars = self.teacher.dollars(answer.tokens_in, answer.tokens_cached, answer.tokens_out)
        try:
            answer = self.checked(answer)
        except TeacherStops:
            self.calls.fail(call.key, self.payer, dollars)
            raise
        unused = tokens - answer.tokens_in - answer.tokens_out if self.limits.tokens and answer.counted else 0
        self.calls.settle(call.key, self.payer, answer, dollars, unused=unused)
        return answer

    @property
    def picture(self) -> int:
        return self.price.picture if self.price else PICTURE

    def most(self, call: Call, share: float = 1.0) -> float:
        """The most dollars that the call can cost, at this share of the price; 0 where the model has none."""
        return self.teacher.dollars(call.most_read(self.picture), 0, call.decoding.max_tokens) * share


@contextmanager
def unsearched() -> Iterator[None]:
    """Within, the garbage collector leaves alone what there was before: going through all of it takes a quarter of a second, in
    which no answer is read."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@asynccontextmanager
async def connection(teacher: ApiTeacher) -> AsyncIterator[openai.AsyncOpenAI]:
    """The openai package's client of the endpoint."""
    import httpx2
    import openai

    from mathse.teacher.transport import Transport

    async with openai.AsyncOpenAI(
        base_url=teacher.base_url,
        api_key=teacher.key() or "none",
        max_retries=0,  # ours know of the other calls
        timeout=httpx2.Timeout(teacher.timeout, connect=min(10.0, teacher.timeout)),
        http_client=openai.DefaultAsyncHttpxClient(transport=Transport(teacher.base_url)),
    ) as api:
        yield api
