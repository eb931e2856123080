"""What can come back instead of an answer, and what to do then."""

from __future__ import annotations

import contextlib
import email.utils
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from mathse.teacher.wire import Answer, Garbled

if TYPE_CHECKING:
    from mathse.teacher.openai import ApiTeacher

T = TypeVar("T")

KEPT = "All answers are kept; run the same command to go on"
QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
NOT_ANSWERED = {
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "invalid_image",
    "image_parse_error",
}


class TeacherStops(RuntimeError):
    """Asking on makes no sense before somebody has changed something."""


class NotThere(TeacherStops):
    """The endpoint does not know what was asked for."""


class Again(Exception):
    """This try brought nothing. `wait`: the endpoint's own wish; `charged`: it may have counted the tokens all the same."""

    def __init__(self, why: str, *, wait: float | None = None, charged: bool = False) -> None:
        super().__init__(why)
        self.wait, self.charged = wait, charged


class NoSchema(Exception):
    """The endpoint has no structured output."""


async def outcome(teacher: ApiTeacher, send: Callable[[], Awaitable[T]], *, structured: bool = False) -> T | Answer:
    """What `send` brings, or the refusal that it means. Raises Again, NoSchema or TeacherStops, with no error behind it that could
    hold the key."""
    import httpx2
    import openai

    failed: Answer | Exception
    try:
        return await send()
    except openai.APIStatusError as error:
        wait, codes = retry_after(error.response.headers), (error.code, error.type)
        failed = meaning(teacher, error.status_code, codes, error.message, wait, structured=structured)
    except openai.APIConnectionError as error:
        unreached = isinstance(error.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout))
        late = isinstance(error, openai.APITimeoutError)
        what = "it cannot be reached" if unreached else "no answer in time" if late else "the connection was cut"
        failed = Again(what, charged=not unreached)
    except Garbled as error:
        failed = Again(without_key(teacher, str(error)), charged=True)
    except (openai.APIResponseValidationError, ValueError, RecursionError):  # the last two: JSON that is none
        failed = Again("an answer that is none in the chat format", charged=True)
    if isinstance(failed, Exception):
        raise failed
    return failed


def meaning(
    teacher: ApiTeacher,
    status: int,
    codes: tuple[str | None, ...],
    message: str,
    wait: float | None = None,
    *,
    structured: bool = False,
) -> Answer | Exception:
    """What an error status is: a refusal, a reason to try again, or the end."""
    words = " ".join(re.sub(r"\bsk-[\w*-]{6,}", "[key]", without_key(teacher, message)).split())[:200]
    at = f"{teacher.base_url} answered {status}"
    if QUOTA.intersection(codes) or status == 402:
        return TeacherStops(f"{at}: the account's quota is used up ({codes[0]}); top it up. {KEPT}")
    if status in (401, 403):
        named = f"the key in ${teacher.key_env}" if teacher.key_env else "a call without key (teacher.key_env=null)"
        return TeacherStops(f"{at}: it does not take {named} for {teacher.model}. {KEPT}")
    if status == 404:
        return NotThere(
            f"{at}: there is no model {teacher.model!r} or no such API; see teacher.model, teacher.base_url. {KEPT}"
        )
    if status in (408, 409, 425, 429) or status >= 500:
        return Again(f"status {status}", wait=wait, charged=status in (408, 502, 504))
    if structured and re.search(r"response_format|schema|guided", words):
        return NoSchema()
    if NOT_ANSWERED.intersection(codes):
        return Answer(words, "refused", teacher.model)
    return TeacherStops(f"{at}{f' ({codes[0]})' if codes[0] else ''}: {words}. {KEPT}")


def without_key(teacher: ApiTeacher, text: str) -> str:
    """The text without the key, should an endpoint repeat it."""
    key = teacher.key()
    return text.replace(key, "[key]") if key else text


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
