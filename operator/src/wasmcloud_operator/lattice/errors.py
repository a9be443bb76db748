"""Every way a talk with a lattice can fail, each under its own name. No text here ever holds a credential."""

from __future__ import annotations

import re


class LatticeError(Exception):
    """Anything that went wrong between us and a lattice."""


class InvalidConnection(LatticeError):
    """The addresses, credentials or TLS files cannot be used; `part` names which, the text what to mend."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(f"{part}: {message}")
        self.part = part
        self.message = message


class InvalidName(LatticeError, ValueError):
    """A name that cannot be part of a NATS subject."""


class LatticeUnavailable(LatticeError):
    """NATS is not connected; nothing was sent."""


class LatticeBusy(LatticeUnavailable):
    """Too many requests wait for a slow or silent peer; nothing was sent."""


class WritesForbidden(LatticeUnavailable):
    """This replica may not change anything now: another may lead. Nothing was sent."""


class NoResponders(LatticeUnavailable):
    """NATS answered that nobody listens on the subject; nothing was done."""


class NotPermitted(LatticeUnavailable):
    """The NATS user is not permitted to publish on the subject; nothing was done."""


class AnswerLost(LatticeError):
    """The request went out and no answer came in time, or the connection broke: it may or may not have been done."""


class PayloadTooLarge(LatticeError):
    """More bytes than the NATS server takes in one message; `size` and `limit` in bytes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes are more than the NATS server takes in one message ({limit})")
        self.size = size
        self.limit = limit


class GarbledAnswer(LatticeError):
    """An answer that is not JSON or not of the agreed shape."""


class ControlRejected(LatticeError):
    """A host refused a request on the control interface; the text is the host's."""


class WadmError(LatticeError):
    """Anything that went wrong between us and wadm."""


class WadmUnavailable(WadmError):
    """wadm cannot be reached or does not answer. `may_have_run`: the request may have been done all the same."""

    def __init__(self, message: str, *, may_have_run: bool = False) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class WadmGarbled(WadmError):
    """wadm's answer could not be understood."""


class WadmNotFound(WadmError):
    """wadm knows no such application, or no such version of it."""


class WadmTransient(WadmError):
    """wadm could not use its store or reach its workers: another writer was faster, or its NATS is not well. Retry."""


class WadmRejected(WadmError):
    """wadm refuses the request; `message` is its own text in one line, without a stack backtrace."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class WadmVersionExists(WadmRejected):
    """That version of the application is stored already; wadm refuses it even when the content is the same."""


_MESSAGE_LIMIT = 1024
_BACKTRACE_MARKS = ("Stack backtrace", "stack backtrace", "\n   0: ", "\n  0: ")


# What a terminal takes for a command, what turns the order of letters round, and half a surrogate pair, which JSON can
# hold and nothing downstream can encode.
_UNREADABLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def readable(text: str) -> str:
    """Returns a foreign text with a replacement character for each that is not to be read."""
    return _UNREADABLE.sub("\ufffd", text)


def one_line(text: str) -> str:
    """A foreign error text fit for a status: one line of at most 1024 characters.

    Of a Rust error with a stack backtrace (anyhow's `{:?}`) only the first line is kept; else lines are joined by "; ".
    """
    if any(mark in text for mark in _BACKTRACE_MARKS):
        text = text.strip().partition("\n")[0]
    lines = (" ".join(line.split()) for line in text.splitlines())
    joined = "; ".join(line for line in lines if line)
    joined = readable(joined)
    return joined if len(joined) <= _MESSAGE_LIMIT else joined[: _MESSAGE_LIMIT - 1] + "…"
