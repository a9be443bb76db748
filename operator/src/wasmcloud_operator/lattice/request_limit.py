"""A bound on how many callers may wait for one peer, tighter while the peer does not answer."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from wasmcloud_operator.lattice.errors import AnswerLost, LatticeBusy

_SILENT_LIMIT = 2


class RequestLimit:
    """Lets at most `limit` requests be under way at a time, and two after one went unanswered.

    Who finds it full is refused at once instead of waiting: a worker that waits for one dead lattice is lost to
    all others. An answer of any kind opens it fully again. Use it as `with limit: await request()`.
    """

    def __init__(self, peer: str, *, limit: int = 64) -> None:
        self._peer = peer
        self._limit = limit
        self._inside = 0
        self._silent = False

    def __repr__(self) -> str:
        return f"<RequestLimit {self._peer} inside={self._inside} silent={self._silent}>"

    @property
    def inside(self) -> int:
        """Requests under way."""
        return self._inside

    @property
    def silent(self) -> bool:
        """Whether the last answer that was due did not come."""
        return self._silent

    def __enter__(self) -> Self:
        if self._inside >= (_SILENT_LIMIT if self._silent else self._limit):
            why = "it does not answer" if self._silent else f"{self._inside} requests are under way"
            raise LatticeBusy(f"no request to {self._peer} now: {why}")
        self._inside += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside -= 1
        if kind is None or issubclass(kind, Exception):
            self._silent = isinstance(error, AnswerLost)
