"""An endpoint that speaks the OpenAI chat and batch format over a real socket, and misbehaves on demand.

with Endpoint() as endpoint:                      # in a thread; endpoint.url is its base_url
    endpoint.faults += ["500", "cut"]             # what the next chat calls get, one each; then it behaves
    endpoint.delay = 0.05                         # seconds before each answer
    endpoint.seen                                 # what it was sent, in order: Seen(body, headers, at, answered)

`python tests/endpoint.py PORT DELAY` runs one in a process of its own; GET /seen says what it was sent.

Faults: slow · 429 · 429+N (retry-after N seconds) · 500 · 503+N · cut (connection closed before the answer) · half (in the middle of
it) · garbled (no JSON) · deep (JSON that no parser takes) · empty (JSON, but no answer) · surrogate (a text that is none) · 401 · 403 ·
404 · quota · 400 · echo (a 400 that repeats the key) · filtered (400 of a content filter) · refusal ·
finish WHY (half of the answer, with status 200 and WHY as its finish_reason) · other-model · same-id · no-usage ·
odd-usage (counts below 0) · no-schema (400 for structured output, from then on).
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Reply = tuple[int, dict[str, str], Any]
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}


@dataclass
class Seen:
    """A chat call that came in."""

    body: dict[str, Any]
    headers: Mapping[str, str]
    at: float
    answered: bool = False

    @property
    def text(self) -> str:
        """What the last turn says."""
        content = self.body["messages"][-1]["content"]
        return content if isinstance(content, str) else content[-1]["text"]

    @property
    def identity(self) -> str:
        return json.dumps(self.body, sort_keys=True)


def arithmetic(body: dict[str, Any]) -> str:
    """The answer to "What is 3 + 4?", or the JSON of a verdict where a schema is asked for."""
    seen = Seen(body, {}, 0.0)
    if "response_format" in body or "JSON schema" in seen.text:
        return json.dumps({"status": "WRONG", "error_step": "Step 1", "error_analysis": "A sum is wrong."})
    a, b = (int(n) for n in re.findall(r"\d+", seen.text)[:2])
    return f"Step 1: {a} + {b} = {a + b}.\nThe answer to this problem is {a + b}."


@dataclass
class Endpoint:
    """`answer` writes the text for a request's body; the rest is how it behaves."""

    answer: Callable[[dict[str, Any]], str] = arithmetic
    delay: float = 0.0
    faults: list[str] = field(default_factory=list)
    key: str | None = None  # the only key that it takes; None takes any
    port: int = 0
    schemas: bool = True
    seen: list[Seen] = field(default_factory=list)
    most_at_once: int = 0
    # Batches
    polls: int = 1  # looks at a batch before it is done
    batch_faults: list[str] = field(
        default_factory=list
    )  # of the next batches: failed · expired · some-fail · twice · shuffled · lost · nothing
    lose_files: bool = False  # results are gone
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Endpoint:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready.set)), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def asked(self) -> list[str]:
        """The identity of each chat call that was answered."""
        return [seen.identity for seen in self.seen if seen.answered]

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until told to end."""
        self._loop, self._end, self._now = asyncio.get_running_loop(), asyncio.Event(), 0
        self._open: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await self._end.wait()
        server.close()
        for writer in self._open:
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self._reply(writer, method, path.removeprefix("/v1"), headers, body):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _reply(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> bool:
        """Answer one request; false where the connection should be closed."""
        seen = None
        fault = ""
        if path == "/chat/completions":
            seen = Seen(json.loads(body), headers, time.time())
            self.seen.append(seen)
            fault = self.faults.pop(0) if self.faults else ""
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            await asyncio.sleep(self.delay + (5.0 if fault == "slow" else 0.0))
            self._now -= 1
            if fault == "cut":
                return False
            status, extra, data = self._chat(seen, fault)
        else:
            status, extra, data = self._other(method, path, headers, body)
        payload = data if isinstance(data, bytes) else json.dumps(data).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        start = f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\ncontent-type: application/json\r\n"
        whole = f"{start}{more}content-length: {len(payload)}\r\n\r\n".encode() + payload
        if writer.is_closing():  # whoever asked is gone: not answered
            return False
        writer.write(whole[: len(whole) // 2] if fault == "half" else whole)
        await writer.drain()
        if seen is not None and status == 200 and fault not in ("half", "garbled", "deep", "surrogate", "empty"):
            seen.answered = True
        return fault != "half"

    def _chat(self, seen: Seen, fault: str) -> Reply:
        if self.key is not None and seen.headers.get("authorization") != f"Bearer {self.key}":
            fault = "401"
        if fault == "no-schema":
            self.schemas = False
        if "response_format" in seen.body and not self.schemas:
            return _error(400, "'response_format' of type 'json_schema' is not supported")
        status, _, seconds = fault.partition("+")
        match status:
            case "429" | "500" | "503":
                return (int(status), {"retry-after": seconds} if seconds else {}, _error(int(status), "not now")[2])
            case "401":
                return _error(
                    401, f"Incorrect API key provided: {seen.headers.get('authorization')}", "invalid_api_key"
                )
            case "403":
                return _error(403, "no access to this model")
            case "404":
                return _error(404, f"The model {seen.body['model']} does not exist", "model_not_found")
            case "quota":
                return _error(429, "You exceeded your current quota", "insufficient_quota")
            case "400":
                return _error(400, "temperature is not supported", "unsupported_parameter")
            case "echo":
                return _error(400, f"bad header {seen.headers.get('authorization')}", "bad_request")
            case "filtered":
                return _error(400, "The response was filtered", "content_filter")
            case "garbled":
                return 200, {}, b'{"choices": [{"message": {"cont'
            case "deep":
                return 200, {}, b'{"choices": ' + b"[" * 200_000
            case "empty":
                return 200, {}, {"choices": []}
        return 200, {}, self._completion(seen.body, fault, len(self.seen))

    def _completion(self, body: dict[str, Any], fault: str, number: int) -> dict[str, Any]:
        text = "\ud800" if fault == "surrogate" else self.answer(body)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        finish = "stop"
        if fault.startswith("finish "):
            message["content"], finish = text[: len(text) // 2], fault.removeprefix("finish ")
        if fault == "refusal":
            message.update(content=None, refusal="I will not do that.")
        data = {
            "id": "chatcmpl-same" if fault == "same-id" else f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": "small-and-cheap" if fault == "other-model" else body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        }
        if fault != "no-usage":
            data["usage"] = usage(body, message["content"] or "")
        if fault == "odd-usage":
            data["usage"] = {"prompt_tokens": -1_000_000, "completion_tokens": -1_000_000}
        return data

    # ---- files and batches ----

    def _other(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if self.key is not None and headers.get("authorization") not in (None, f"Bearer {self.key}"):
            return _error(401, "Incorrect API key", "invalid_api_key")
        if path == "/seen":
            return 200, {}, [{"identity": seen.identity, "answered": seen.answered} for seen in self.seen]
        if path == "/files" and method == "POST":
            boundary = headers["content-type"].partition("boundary=")[2].strip('"').encode()
            parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + boundary)]
            content = next(data for head, _, data in parts if b"filename=" in head)
            return 200, {}, {"id": self._file(content.removesuffix(b"\r\n")), "object": "file", "purpose": "batch"}
        if path.startswith("/files/") and self.lose_files:
            return _error(404, "no such file")
        match = re.fullmatch(r"/files/([\w-]+)/content", path)
        if match and match[1] in self.files:
            return 200, {}, self.files[match[1]]
        if path == "/batches" and method == "POST":
            made = self._start(**json.loads(body))
            # "lost": created, but whoever asked never hears of it
            return _error(500, "lost") if made["fault"].startswith("lost") else (200, {}, made)
        if path.startswith("/batches?") and method == "GET":
            rows = list(reversed(self.batches.values()))
            return 200, {}, {"object": "list", "data": rows, "has_more": False}
        match = re.fullmatch(r"/batches/([\w-]+)", path)
        if match and match[1] in self.batches:
            return 200, {}, self._look(match[1])
        return _error(404, f"no {path} here")

    def _file(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def _start(self, input_file_id: str, metadata: dict[str, str], **rest: Any) -> dict[str, Any]:
        batch = {
            "id": f"batch-{len(self.batches)}",
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": int(time.time()),
            "input_file_id": input_file_id,
            "metadata": metadata,
            "status": "in_progress",
            "polls": self.polls,
            "fault": self.batch_faults.pop(0) if self.batch_faults else "",
        }
        self.batches[batch["id"]] = batch
        return batch

    def _look(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        batch["polls"] -= 1
        if batch["polls"] > 0 or batch["status"] != "in_progress":
            return batch
        fault = batch["fault"]
        if fault == "failed":
            errors = {"object": "list", "data": [{"code": "invalid_json_line", "message": "line 1", "line": 1}]}
            batch.update(status="failed", errors=errors)
            return batch
        good, bad = [], []
        for i, line in enumerate(self.files[batch["input_file_id"]].decode().splitlines()):
            request = json.loads(line)
            if fault == "nothing" or (fault in ("some-fail", "expired") and i % 2):
                code = "batch_expired" if fault == "expired" else "server_error"
                bad.append(
                    {"custom_id": request["custom_id"], "response": None, "error": {"code": code, "message": "no"}}
                )
                continue
            if "response_format" in request["body"] and not self.schemas:
                status, _, data = _error(400, "'response_format' is not supported")
                bad.append({"custom_id": request["custom_id"], "response": {"status_code": status, "body": data}})
                continue
            data = self._completion(request["body"], "", i)
            self.seen.append(Seen(request["body"], {}, time.time(), answered=True))
            good.append(
                {"custom_id": request["custom_id"], "response": {"status_code": 200, "body": data}, "error": None}
            )
        if fault == "twice":
            good += good
        if fault == "shuffled":
            good.reverse()
        batch["status"] = "expired" if fault == "expired" else "completed"
        batch["output_file_id"] = self._file("".join(json.dumps(row) + "\n" for row in good).encode())
        if bad:
            batch["error_file_id"] = self._file("".join(json.dumps(row) + "\n" for row in bad).encode())
        return batch


def usage(body: dict[str, Any], text: str) -> dict[str, Any]:
    """Counts as an endpoint gives them: about four letters a token, 100 a picture; half of the prompt was cached."""
    words = pictures = 0
    for message in body["messages"]:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        words += sum(len(part["text"]) for part in parts if part["type"] == "text")
        pictures += sum(part["type"] == "image_url" for part in parts)
    read, wrote = words // 4 + 100 * pictures, len(text) // 4
    details = {"cached_tokens": read // 2}
    return {
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "total_tokens": read + wrote,
        "prompt_tokens_details": details,
    }


def _error(status: int, message: str, code: str | None = None) -> Reply:
    kind = code if code == "insufficient_quota" else "invalid_request_error"
    return status, {}, {"error": {"message": message, "type": kind, "param": None, "code": code}}


if __name__ == "__main__":
    asyncio.run(Endpoint(port=int(sys.argv[1]), delay=float(sys.argv[2])).serve())
