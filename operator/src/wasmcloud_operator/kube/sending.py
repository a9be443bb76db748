"""The last moment before a request goes out, after the wait for a connection.

A process that is frozen between the two may go on when another replica leads already, and the deadline of the request
would come too late: the event loop may run what was ready before it looks at the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace

import aiohttp

Check = Callable[[], object]

_check: ContextVar[Check | None] = ContextVar("check before sending", default=None)


@contextmanager
def checked_when_sent(check: Check) -> Iterator[None]:
    """A scope whose requests call `check` right before their bytes are written, and raise what `check` raises."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def checking() -> aiohttp.TraceConfig:
    """Returns what makes an aiohttp session call the checks."""

    async def about_to_send(_session: object, _context: SimpleNamespace, _params: object) -> None:
        if (check := _check.get()) is not None:
            check()

    config = aiohttp.TraceConfig()
    # aiohttp calls these before it writes, and holds the headers back until there is a body to write with them.
    config.on_request_headers_sent.append(about_to_send)
    config.on_request_chunk_sent.append(about_to_send)
    config.freeze()
    return config
