"""What a failed NATS connection means to a user."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from nats import errors as nats_errors

from wasmcloud_operator.lattice.errors import one_line


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A CamelCase reason for a condition and a message that says what to look at."""

    reason: str
    message: str


# nats-py's UnexpectedEOF is a StaleConnectionError: the narrower kind stands first.
_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    ((ConnectionRefusedError,), "connection refused"),
    (
        (nats_errors.UnexpectedEOF, ConnectionResetError, nats_errors.ConnectionClosedError),
        "the server closed the connection",
    ),
    ((TimeoutError, nats_errors.StaleConnectionError), "no answer"),
)


def diagnose(error: BaseException, server: str) -> Diagnosis:
    """The diagnosis of what nats-py raised while talking to `server`, an address without user and password."""
    text = one_line(str(error)).removeprefix("nats: ").strip("' ")
    reason, message = _reason(error, text)
    return Diagnosis(reason, f"{server}: {message}" if server else message)


def _reason(error: BaseException, text: str) -> tuple[str, str]:
    lowered = text.lower()
    if isinstance(error, ssl.SSLError):
        return "TLSFailed", f"TLS failed: {error.reason or text}; check the CA and the client certificate"
    if "authentication expired" in lowered:
        return "CredentialsExpired", f"the credentials have expired ({text})"
    if "authorization" in lowered or "authentication" in lowered:
        return "CredentialsRejected", f"the server refuses the credentials ({text})"
    if isinstance(error, socket.gaierror):
        return "Unreachable", f"the name cannot be resolved ({error.strerror or text})"
    for kinds, message in _BY_KIND:
        if isinstance(error, kinds):
            return "Unreachable", message
    return "Unreachable", text or type(error).__name__
