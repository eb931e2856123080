"""Limits per minute as a leaky bucket whose whole state is two numbers, so that processes can share it."""

from __future__ import annotations

from dataclasses import dataclass

BURST = 0.1  # of a minute's allowance may go at once


@dataclass(frozen=True)
class Bucket:
    """`level` of the allowance was left at the time `at`, in seconds."""

    level: float
    at: float


def take(bucket: Bucket | None, amount: float, per_minute: float, now: float) -> tuple[Bucket, float]:
    """The bucket with `amount` taken out, and 0; or as it is now, and the seconds to wait for that much.

    What goes at once (a tenth) and what flows in (nine tenths a minute) are never more than `per_minute` in any minute. An amount that is
    more than the bucket holds goes when the bucket is full, and is waited for afterwards.
    """
    burst = per_minute * BURST
    flow = (per_minute - burst) / 60
    level = burst if bucket is None else min(burst, bucket.level + (now - bucket.at) * flow)
    lacking = min(amount, burst) - level
    if lacking > 1e-9:
        return Bucket(level, now), lacking / flow
    return Bucket(level - amount, now), 0.0
