"""What a failed NATS connection means to a user, in fixed texts: nothing that the other side sent is repeated.

Whoever writes an address chooses the other side. What an internal service answers must not reach a condition, and a
text that differs each time would pass the log limiter.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
from nats import errors as nats_errors


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A CamelCase reason for a condition and a message with what to look at."""

    reason: str
    message: str


class UnacceptableServer(ConnectionError):
    """The server does something that is not accepted; the text is ours and holds nothing from the server."""

    def __init__(self, message: str, *, reason: str = "Unreachable") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


_CREDENTIALS_REJECTED = Diagnosis("CredentialsRejected", "the server refuses the credentials")
_CLOSED = Diagnosis("Unreachable", "the server closed the connection")
_NO_ANSWER = Diagnosis("Unreachable", "no answer")
_NOT_NATS = Diagnosis("Unreachable", "the server does not speak the NATS protocol")
_NOT_WEBSOCKET = Diagnosis("Unreachable", "the server does not answer as a NATS websocket listener does")

# The first part that stands in the text of an error which the server sent (or nats-py has for it) decides.
_BY_WORDS: tuple[tuple[str, Diagnosis], ...] = (
    ("authentication expired", Diagnosis("CredentialsExpired", "the credentials have expired")),
    ("authentication revoked", Diagnosis("CredentialsRejected", "the server has revoked the credentials")),
    ("permissions violation", Diagnosis("NotPermitted", "permissions violation: a subject is not permitted")),
    ("authorization", _CREDENTIALS_REJECTED),
    ("authentication", _CREDENTIALS_REJECTED),
    ("connections exceeded", Diagnosis("Unreachable", "the server takes no more connections")),
    ("tls", Diagnosis("TLSFailed", "the server and the operator do not agree on TLS")),
    ("empty response", _NOT_NATS),
    ("parse error", _NOT_NATS),
    ("unknown protocol", _NOT_NATS),
)

# The narrower kind stands first: nats-py's UnexpectedEOF is a StaleConnectionError.
_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], Diagnosis], ...] = (
    ((nats_errors.UnexpectedEOF, nats_errors.ConnectionClosedError), _CLOSED),
    ((nats_errors.StaleConnectionError, nats_errors.TimeoutError, TimeoutError), _NO_ANSWER),
    ((nats_errors.AuthorizationError, nats_errors.InvalidUserCredentialsError), _CREDENTIALS_REJECTED),
    ((nats_errors.SlowConsumerError,), Diagnosis("Unreachable", "messages came in faster than they were handled")),
    ((nats_errors.NoServersError,), Diagnosis("Unreachable", "no NATS server answers there")),
    ((nats_errors.ProtocolError, nats_errors.JsonParseError, UnicodeError, ValueError), _NOT_NATS),
    ((socket.gaierror,), Diagnosis("Unreachable", "the name cannot be resolved")),
    ((ConnectionRefusedError,), Diagnosis("Unreachable", "connection refused")),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError, EOFError), _CLOSED),
)

# OpenSSL's codes of what is wrong with a server's certificate (x509_vfy.h).
_CERTIFICATE = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    18: "the certificate is self-signed",
    19: "a self-signed certificate is in its chain",
    20: "its issuer is unknown",
    21: "its issuer is unknown",
    62: "the certificate is for another host name",
    64: "the certificate is for another IP address",
}
_SSL_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_DENIED = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]{1,4096})\"")


def diagnose(error: BaseException, server: str) -> Diagnosis:
    """Returns the diagnosis of any exception of a connection to `server`, an address without user and password.

    It raises nothing whatever the exception holds: aiohttp's are made in ways that leave attributes unset.
    """
    found = next(filter(None, map(_known, _chain(error))), None) or _fallback(error)
    return Diagnosis(found.reason, f"{server}: {found.message}" if server else found.message)


def denied_subject(error: BaseException) -> tuple[str, str]:
    """Returns `publish` or `subscription` and the subject in lower case that a permissions error names, else "", ""."""
    found = _DENIED.search(_text(error))
    return (found[1], found[2]) if found is not None else ("", "")


def _chain(error: BaseException, depth: int = 4) -> Iterator[BaseException]:
    """The error and what it was raised for, the innermost first: aiohttp wraps what the system or OpenSSL reported."""
    inner: list[object] = [getattr(error, name, None) for name in ("certificate_error", "os_error", "__cause__")]
    if isinstance(error, BaseExceptionGroup):
        inner += error.exceptions[:1]
    for each in inner:
        if isinstance(each, BaseException) and depth > 0:
            yield from _chain(each, depth - 1)
    yield error


def _known(error: BaseException) -> Diagnosis | None:
    if isinstance(error, UnacceptableServer):
        return Diagnosis(error.reason, error.message)
    if isinstance(error, ssl.SSLError):
        return Diagnosis("TLSFailed", f"TLS failed: {_ssl_words(error)}; check the CA and the client certificate")
    if isinstance(error, nats_errors.Error):
        text = _text(error)
        for words, diagnosis in _BY_WORDS:
            if words in text:
                return diagnosis
    for kinds, diagnosis in _BY_KIND:
        if isinstance(error, kinds):
            return diagnosis
    if isinstance(error, OSError) and isinstance(error.errno, int) and error.errno in errno.errorcode:
        return Diagnosis("Unreachable", os.strerror(error.errno).lower())
    return None


def _fallback(error: BaseException) -> Diagnosis:
    if isinstance(error, aiohttp.ClientError):
        return _NOT_WEBSOCKET
    if isinstance(error, nats_errors.Error):
        return Diagnosis("Unreachable", "the server ended the connection with an error of its own")
    return Diagnosis("Unreachable", f"the connection failed ({type(error).__name__})")


def _ssl_words(error: ssl.SSLError) -> str:
    reason = getattr(error, "reason", None)
    name = reason if isinstance(reason, str) and _SSL_REASON.fullmatch(reason) else "the handshake did not succeed"
    if isinstance(error, ssl.SSLCertVerificationError):
        code = getattr(error, "verify_code", None)
        return f"CERTIFICATE_VERIFY_FAILED, {_CERTIFICATE.get(code if isinstance(code, int) else 0, name)}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the server ended the handshake"
    return name


def _text(error: BaseException) -> str:
    """The error's own text in lower case, for comparison only; classes whose text cannot be made have none."""
    try:
        return str(error)[:8192].lower()
    except Exception:  # noqa: BLE001 - a half-made exception has no text
        return ""
