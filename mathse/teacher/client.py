"""Asks an endpoint many calls at once, and knows what to do with whatever comes back.

- 429, 5xx, cut connections, time-outs and garbled answers are tried again, later and later, with jitter; `retry-after` holds everybody.
- 401, 403, a model that is not there, an exhausted quota and a request that the endpoint does not take end it at once, in one line.
  What is in flight may still come home; nothing new is sent.
- A refusal and an answer cut at the token limit are answers: stored as what they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import email.utils
import random
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from mathse.progress import progress
from mathse.store import Doing
from mathse.teacher.calls import ELSEWHERE, Calls, Spent
from mathse.teacher.prices import PICTURE
from mathse.teacher.wire import Answer, Call, Garbled, read

if TYPE_CHECKING:
    import openai

    from mathse.teacher.openai import ApiTeacher

LONGEST_PAUSE = 60.0  # seconds between two tries where the endpoint does not say
LONGEST_WAIT = 3600.0  # seconds that an endpoint may ask to wait; for a daily quota it is better to come back
QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
NOT_ANSWERED = (
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "invalid_image",
    "image_parse_error",
)
KEPT = "All answers are kept; run the same command to go on"
LANE = 16  # connections that one HTTP pool takes care of; its bookkeeping grows with their square


class TeacherStops(RuntimeError):
    """Asking on makes no sense before somebody has changed something."""


class Again(Exception):
    """This try brought nothing. `wait`: the endpoint's own wish; `charged`: it may have counted the tokens all the same."""

    def __init__(self, why: str, *, wait: float | None = None, charged: bool = False) -> None:
        super().__init__(why)
        self.wait, self.charged = wait, charged


class NoSchema(Exception):
    """The endpoint has no structured output."""


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
        answers: list[Answer | None] = [None] * len(calls)
        todo = iter(enumerate(calls))
        with progress("asking the teacher", len(calls), "calls") as shown:
            workers = min(self.limits.concurrency, len(calls))
            async with connections(self.teacher, -(-workers // LANE)) as lanes:

                async def work(api: openai.AsyncOpenAI) -> None:
                    for i, call in todo:
                        if self.stopped:
                            return
                        try:
                            answers[i] = await self._once(api, call)
                        except (TeacherStops, Spent, ValueError, OSError) as error:
                            self.stopped = self.stopped or error
                            return
                        shown.advance(1)

                await asyncio.gather(*(work(lanes[i % len(lanes)]) for i in range(workers)))
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
                pause = self._pause(error, tries)
            else:
                return self._settled(call, answer, most, tokens)
            await asyncio.sleep(pause)

    def _pause(self, again: Again, tries: int) -> float:
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
        import httpx2
        import openai

        structured = call.schema is not None and not self.calls.known(self.plain)
        body = call.body(limit_as=self.teacher.limit_as, json_schema=structured)
        # An endpoint that knows idempotency keys does not charge twice for a call whose answer was lost on the way.
        options: Any = {"headers": {"Idempotency-Key": call.key}}
        try:
            outcome: Answer | Exception = read(
                await api.post("/chat/completions", body=body, cast_to=object, options=options)
            )
        except openai.APIStatusError as error:
            outcome = self._meaning(error, structured)
        except openai.APIConnectionError as error:
            unreached = isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout))
            late = isinstance(error, openai.APITimeoutError)
            what = "it cannot be reached" if unreached else "no answer in time" if late else "the connection was cut"
            outcome = Again(what, charged=not unreached)
        except (Garbled, openai.APIResponseValidationError, ValueError):  # ValueError: JSON that is none
            outcome = Again("an answer that is none in the chat format", charged=True)
        if isinstance(outcome, Exception):
            raise outcome  # here, where no error hangs on it that could hold the key
        return outcome

    def _meaning(self, error: openai.APIStatusError, structured: bool) -> Answer | Exception:
        """What an error status is: a refusal, a reason to try again, or the end."""
        teacher, status, codes = self.teacher, error.status_code, {error.code, error.type}
        words = self.scrub(error.message)
        at = f"{teacher.base_url} answered {status}"
        if codes & set(QUOTA) or status == 402:
            return TeacherStops(f"{at}: the account's quota is used up ({error.code}); top it up. {KEPT}")
        if status in (401, 403):
            named = f"the key in ${teacher.key_env}" if teacher.key_env else "a call without key (teacher.key_env=null)"
            return TeacherStops(f"{at}: it does not take {named} for {teacher.model}. {KEPT}")
        if status == 404:
            return TeacherStops(
                f"{at}: there is no model {teacher.model!r} or no chat API; see teacher.model, teacher.base_url. {KEPT}"
            )
        if status in (408, 409, 425, 429) or status >= 500:
            return Again(
                f"status {status}", wait=retry_after(error.response.headers), charged=status in (408, 502, 504)
            )
        if structured and re.search(r"response_format|schema|guided", words):
            return NoSchema()
        if codes & set(NOT_ANSWERED):
            return Answer(words, "refused", teacher.model)
        return TeacherStops(f"{at} ({error.code}): {words}. {KEPT}")

    def _settled(self, call: Call, answer: Answer, most: float, tokens: int) -> Answer:
        """The answer, stored and paid for. Raises TeacherStops where another model wrote it than was asked."""
        answer = dataclasses.replace(answer, text=self.scrub(answer.text, cut=False))
        dollars = most
        if answer.counted:
            dollars = self.teacher.dollars(answer.tokens_in, answer.tokens_cached, answer.tokens_out)
        if not self.teacher.is_model(answer.model):
            self.calls.fail(call.key, self.payer, dollars)
            raise TeacherStops(
                f"{self.teacher.base_url} answers as {answer.model!r} when asked for {call.model!r}; if they are the same, "
                f"say so with teacher.served_as={answer.model}"
            )
        unused = tokens - answer.tokens_in - answer.tokens_out if self.limits.tokens and answer.counted else 0
        self.calls.settle(call.key, self.payer, answer, dollars, unused=unused)
        return answer

    @property
    def picture(self) -> int:
        return self.price.picture if self.price else PICTURE

    def most(self, call: Call) -> float:
        """The most dollars that the call can cost; 0 where the model has no price."""
        return self.teacher.dollars(call.most_read(self.picture), 0, call.decoding.max_tokens)

    def scrub(self, text: str, *, cut: bool = True) -> str:
        """The text without the key, should an endpoint repeat it; with `cut`, as the end of an error line."""
        key = self.teacher.key()
        text = text.replace(key, "[key]") if key else text
        return re.sub(r"\bsk-[\w*-]{6,}", "[key]", " ".join(text.split()))[:200] if cut else text


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the endpoint asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    with contextlib.suppress(KeyError, ValueError):
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    value = headers.get("retry-after", "")
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


@asynccontextmanager
async def connections(teacher: ApiTeacher, count: int) -> AsyncIterator[list[openai.AsyncOpenAI]]:
    """So many clients of the endpoint; each keeps its connections."""
    import httpx2
    import openai

    tls = httpx2.create_ssl_context()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                openai.AsyncOpenAI(
                    base_url=teacher.base_url,
                    api_key=teacher.key() or "none",
                    max_retries=0,  # ours know of the other calls
                    timeout=httpx2.Timeout(teacher.timeout, connect=min(10.0, teacher.timeout)),
                    http_client=openai.DefaultAsyncHttpxClient(verify=tls),
                )
            )
            for _ in range(count)
        ]
