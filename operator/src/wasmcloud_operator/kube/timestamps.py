"""Moments as Kubernetes and HTTP write them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache


def rfc3339(moment: datetime) -> str:
    """The moment as Kubernetes writes a metav1.Time: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """The moment as Kubernetes writes a metav1.MicroTime: UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=2)  # many answers a second have the same
def from_http_date(text: str) -> datetime | None:
    """The moment that an HTTP header names, such as `Date`; None if it cannot be read."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for numbers that fit no date
        return None
    return moment if moment.tzinfo is not None else None
