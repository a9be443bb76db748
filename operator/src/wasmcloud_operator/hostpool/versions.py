"""Which host versions know what."""

from __future__ import annotations

import re

_NUMBERS = re.compile(r"^v?(\d+)(?:\.(\d+))?")


def at_least(version: str, major: int, minor: int) -> bool:
    """Whether a host of that version is at least major.minor. A tag that is no number (`latest`) counts as new."""
    match = _NUMBERS.match(version)
    return match is None or (int(match[1]), int(match[2] or 0)) >= (major, minor)
