"""The Batch API (`teacher=batch`): calls travel as files and come back within a day, at half the price, into the same cache.

A batch is written down before it is sent, under a name that goes with it as metadata, and with its id after. So whatever is killed when,
the next run finds its batches and waits for them; none is sent twice. What a batch does not answer goes into the next one.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from mathse.settings import Positive, settings
from mathse.teacher.calls import Spent
from mathse.teacher.client import Client, connection
from mathse.teacher.errors import KEPT, Again, NoSchema, NotThere, TeacherStops, meaning, outcome
from mathse.teacher.wire import Answer, Call, Garbled, read

if TYPE_CHECKING:
    import openai

T = TypeVar("T")

OVER = ("completed", "failed", "expired", "cancelled")
LATER = ("token_limit_exceeded", "rate_limit_exceeded")  # of a batch: there are too many on their way
LOOK_BACK = 1000  # batches among which one is looked for whose id was lost


@settings
class Batching:
    """What one file may hold, seconds between looks at a batch, and the share of the price that it costs; `give_up`: ids of batches
    that nobody can fetch any more."""

    calls: Positive
    megabytes: Annotated[float, "> 0"]
    poll: Annotated[float, ">= 0"]
    share: Annotated[float, "> 0 <= 1"]
    give_up: tuple[str, ...]


class Batches:
    """The endpoint of a client, asked by batches."""

    def __init__(self, client: Client) -> None:
        self.client, self.calls, self.teacher = client, client.calls, client.teacher
        self.batching = client.teacher.batching
        self.said: dict[str, str] = {}
        self.stopped: Exception | None = None

    async def ask(self, calls: Sequence[Call], *, send: bool = True) -> None:
        """Have an answer to each call in the cache; without `send`, to those only that are in a batch already.

        Raises TeacherStops or Spent, once everything that is on its way has come home.
        """
        todo = {call.key: call for call in calls}
        fruitless = 0
        async with connection(self.teacher) as api:
            await self._find_lost(api)
            self._give_up()
            while True:
                todo = {key: call for key, call in todo.items() if self.calls.find(key) is None}
                if send and not self.stopped:
                    await self._send(api, todo)
                waited = self._waited_for(todo)
                if not waited:
                    if self.stopped:
                        raise self.stopped
                    if not todo or not send:
                        return
                before, over = self.calls.count(), False
                for name, remote in waited.items():
                    try:
                        over |= await self._look(api, name, remote, todo)
                    except NotThere:
                        raise TeacherStops(
                            f"{self.teacher.base_url} has no batch {remote}, or not its results, for this key. If they are lost, "
                            f"teacher.batching.give_up=[{remote}] counts its calls as spent and asks them again"
                        ) from None
                if not over:
                    await asyncio.sleep(self.batching.poll)
                elif self.calls.count() > before:
                    fruitless = 0
                else:
                    fruitless += 1
                    if fruitless > self.teacher.retries:
                        self.stopped = TeacherStops(
                            f"{self.teacher.base_url}: {fruitless} batches without an answer. {KEPT}"
                        )
                    await asyncio.sleep(self.teacher.backoff * 2.0**fruitless)

    def _waited_for(self, todo: Mapping[str, Call]) -> dict[str, str]:
        """The batches that hold calls of ours: our name and the endpoint's id. Raises TeacherStops where they are elsewhere."""
        waited = {}
        for name, remote, url in self.calls.batches():
            if remote is None or todo.keys().isdisjoint(self.calls.packed(name)):
                continue
            if url != self.teacher.base_url:
                raise TeacherStops(
                    f"calls are on their way in batch {remote} at {url}; fetch them with teacher.base_url={url}"
                )
            waited[name] = remote
        return waited

    async def _find_lost(self, api: openai.AsyncOpenAI) -> None:
        """A process may have died between sending a batch and writing down its id."""
        for name, remote, url in self.calls.batches():
            if remote is None and url == self.teacher.base_url and not self.calls.alive(name.partition("-")[0]):
                found = await self._remote(api, name)
                if found:
                    self.calls.sent(name, found)
                else:
                    self.calls.unpack(name)

    def _give_up(self) -> None:
        """What is lost may have been charged, and can be asked again."""
        for name, remote, _ in self.calls.batches():
            if remote in self.batching.give_up:
                for key, (payer, most) in self.calls.packed(name).items():
                    self.calls.fail(key, payer, most, way="batched")
                self.calls.unpack(name)

    async def _remote(self, api: openai.AsyncOpenAI, name: str) -> str | None:
        """The id under which the endpoint has the batch of this name."""

        async def look() -> str | None:
            seen = 0
            async for batch in api.batches.list(limit=100):
                if (batch.metadata or {}).get("mathse") == name:
                    return batch.id
                seen += 1
                if seen >= LOOK_BACK:
                    break
            return None

        return await self._patiently(look)

    async def _send(self, api: openai.AsyncOpenAI, todo: Mapping[str, Call]) -> None:
        """Send what is not on its way yet, as far as the caps allow."""
        for lines in self._files(todo):
            name = f"{self.calls.owner}-{uuid.uuid4().hex[:8]}"
            most = {key: self.client.most(todo[key], self.batching.share) for key in lines}
            try:
                keys = self.calls.pack(name, self.teacher.base_url, most, self.client.payer, self.client.limits)
            except Spent as spent:
                self.stopped = spent
                return
            if keys:
                remote = await self._submit(api, name, "".join(lines[key] for key in keys).encode())
                self.calls.sent(name, remote)
                self._say(remote, f"sent, {len(keys)} calls")

    def _files(self, todo: Mapping[str, Call]) -> Iterator[dict[str, str]]:
        """Lines by key, as many as one file may hold."""
        structured = not self.calls.known(self.client.plain)
        packed = {key for name, _, _ in self.calls.batches() for key in self.calls.packed(name)}
        lines: dict[str, str] = {}
        size = 0
        for key, call in todo.items():
            if key in packed:
                continue
            body = call.body(limit_as=self.teacher.limit_as, json_schema=structured)
            line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
            text = json.dumps(line, ensure_ascii=False) + "\n"
            length = len(text.encode())
            if lines and (len(lines) == self.batching.calls or size + length > self.batching.megabytes * 1e6):
                yield lines
                lines, size = {}, 0
            lines[key] = text
            size += length
        if lines:
            yield lines

    async def _submit(self, api: openai.AsyncOpenAI, name: str, content: bytes) -> str:
        file = await self._patiently(lambda: api.files.create(file=(f"{name}.jsonl", content), purpose="batch"))
        tried = False

        async def create() -> str:
            nonlocal tried
            found = await self._remote(api, name) if tried else None  # a try whose answer was lost may have created it
            tried = True
            if found:
                return found
            made = await api.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={"mathse": name},
            )
            return made.id

        return await self._patiently(create)

    async def _look(self, api: openai.AsyncOpenAI, name: str, remote: str, todo: Mapping[str, Call]) -> bool:
        """Whether the batch is over; then its answers are in the cache, and the rest may be sent again."""
        batch = await self._patiently(lambda: api.batches.retrieve(remote))
        counts = batch.request_counts
        self._say(remote, f"{batch.status}, {counts.completed} of {counts.total}" if counts else batch.status)
        if batch.status not in OVER:
            return False
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                content = await self._patiently(lambda file=file: api.files.content(file))  # type: ignore[misc]
                self._unload(name, content.text, todo)
        self.calls.unpack(name)
        errors = batch.errors.data if batch.errors and batch.errors.data else []
        if batch.status == "failed" and not any(error.code in LATER for error in errors):
            what = f"{errors[0].code}, {errors[0].message}" if errors else "no reason given"
            self.stopped = TeacherStops(f"batch {remote} failed: {what}. {KEPT}")
        if batch.status == "cancelled":
            self.stopped = TeacherStops(f"batch {remote} was cancelled. {KEPT}")
        return True

    def _unload(self, name: str, content: str, todo: Mapping[str, Call]) -> None:
        """Settle the calls that the file answers, each once: ids may repeat, be unknown, or stand in any order."""
        packed = self.calls.packed(name)
        for line in content.splitlines():
            try:
                row = json.loads(line)
                key, result = row["custom_id"], _result(row)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue
            if key not in packed:
                continue
            payer, most = packed.pop(key)
            try:
                self._settle(key, payer, most, result, todo.get(key))
            except (Again, NoSchema):
                continue  # the next batch asks
            except TeacherStops as stops:
                self.stopped = stops

    def _settle(self, key: str, payer: Any, most: float, result: tuple[int, Any], call: Call | None) -> None:
        status, body = result
        if status != 200:
            error = (body or {}).get("error") or {}
            codes, message = (error.get("code"), error.get("type")), str(error.get("message"))
            structured = call is not None and call.schema is not None
            meant = meaning(self.teacher, status, codes, message, structured=structured)
            if isinstance(meant, NoSchema):
                self.calls.learn(self.client.plain)
            if isinstance(meant, Exception):
                raise meant
            self.calls.settle(key, payer, meant, 0.0, way="batched")
            return
        try:
            answer: Answer = read(body)
        except Garbled:
            self.calls.fail(key, payer, most, way="batched")
            return
        spent = self.teacher.dollars(answer.tokens_in, answer.tokens_cached, answer.tokens_out) * self.batching.share
        dollars = spent if answer.counted else most
        try:
            answer = self.client.checked(answer)
        except TeacherStops:
            self.calls.fail(key, payer, dollars, way="batched")
            raise
        self.calls.settle(key, payer, answer, dollars, way="batched")

    async def _patiently(self, send: Callable[[], Awaitable[T]]) -> T:
        """What `send` brings, tried again while that makes sense."""
        tries = 0
        while True:
            try:
                result = await outcome(self.teacher, send)
            except Again as again:
                tries += 1
                pause = self.client.pause(again, tries)
            else:
                if isinstance(result, Answer):
                    raise TeacherStops(f"{self.teacher.base_url} refuses the batch: {result.text}. {KEPT}")
                return result
            await asyncio.sleep(pause)

    def _say(self, remote: str, words: str) -> None:
        """A line about a batch, when it has changed."""
        if self.said.get(remote) != words:
            self.said[remote] = words
            print(f"  teacher: {remote} {words}", flush=True)


def _result(row: Mapping[str, Any]) -> tuple[int, Any]:
    """Status and body of one line. An error without a response (expired, say) passes, so it counts as the endpoint's."""
    response = row.get("response")
    return (int(response["status_code"]), response["body"]) if response else (500, None)
