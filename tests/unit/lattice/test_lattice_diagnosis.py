"""Every way a connection can fail has a fixed text, which repeats nothing that the other side sent."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from inspect import isabstract

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from nats import errors as nats_errors
from nats.js import errors as jetstream_errors
from yarl import URL

from wasmcloud_operator.lattice.diagnosis import UnacceptableServer, denied_subject, diagnose

SENT = "SSH-2.0-OpenSSH_9.2 hunter2 <object at 0x7f00deadbeef>"
REASONS = {"Unreachable", "TLSFailed", "CredentialsRejected", "CredentialsExpired", "NotPermitted"}


def every_class(of: type[BaseException]) -> Iterator[type[BaseException]]:
    yield of
    for one in of.__subclasses__():
        yield from every_class(one)


LIBRARIES = {"builtins", "ssl", "socket", "asyncio", "json", "aiohttp", "nats"}

CLASSES = sorted(
    {
        one
        for root in (OSError, ValueError, EOFError, ssl.SSLError, aiohttp.ClientError, nats_errors.Error)
        for one in every_class(root)
        if not isabstract(one) and one.__module__.partition(".")[0] in LIBRARIES
    }
    | {jetstream_errors.APIError, RuntimeError, AttributeError, ExceptionGroup},
    key=lambda one: (one.__module__, one.__qualname__),
)


def made(kind: type[BaseException]) -> Iterator[BaseException]:
    """The error as far as it can be made: empty, with a text, with a number and a text, without its constructor."""
    key = ConnectionKey("h", 1, True, True, None, None, None)
    info = aiohttp.RequestInfo(URL("ws://h"), "GET", {}, URL("ws://h"))
    arguments: list[tuple[object, ...]] = [
        (),
        (SENT,),
        (errno.ECONNREFUSED, SENT),
        (errno.EHOSTUNREACH, SENT),
        (99999, SENT),
        (key, OSError(errno.ECONNRESET, SENT)),
        (key, ssl.SSLError(1, SENT)),
        (key, socket.gaierror(-2, SENT)),
        (info, ()),
        (SENT, [ValueError(SENT)]),
    ]
    for given in arguments:
        try:
            yield kind(*given)
        except Exception:  # noqa: BLE001 - the class takes other arguments
            continue
    bare = kind.__new__(kind, SENT, [ValueError(SENT)]) if kind is ExceptionGroup else kind.__new__(kind)
    yield bare


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_every_class_of_error_gets_a_fixed_text(kind: type[BaseException]) -> None:
    for error in made(kind):
        wrapped = RuntimeError(SENT)
        wrapped.__cause__ = error
        for each in (error, wrapped):
            found = diagnose(each, "nats://a:4222")
            assert found.reason in REASONS
            assert found.message.startswith("nats://a:4222: ")
            assert len(found.message) < 200
            assert not re.search(r"SSH|hunter2|0x|\n", found.message), found


def test_the_walk_covers_the_libraries() -> None:
    names = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in CLASSES}
    assert {
        "ssl.SSLCertVerificationError",
        "aiohttp.ClientConnectorSSLError",
        "aiohttp.ClientConnectorCertificateError",
        "aiohttp.WSServerHandshakeError",
        "nats.UnexpectedEOF",
        "socket.gaierror",
    } <= names


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (ConnectionRefusedError(111, "x"), "Unreachable", "connection refused"),
        (nats_errors.Error("nats: 'Authorization Violation'"), "CredentialsRejected", "refuses the credentials"),
        (nats_errors.Error("nats: 'user authentication expired'"), "CredentialsExpired", "have expired"),
        (nats_errors.UnexpectedEOF(), "Unreachable", "closed the connection"),
        (nats_errors.StaleConnectionError(), "Unreachable", "no answer"),
        (nats_errors.Error("nats: 'go away, hunter2'"), "Unreachable", "an error of its own"),
        (OSError(errno.EHOSTUNREACH, "x"), "Unreachable", "no route to host"),
        (UnacceptableServer("it does not offer TLS", reason="TLSFailed"), "TLSFailed", "does not offer TLS"),
    ],
)
def test_known_failures_are_named(error: BaseException, reason: str, words: str) -> None:
    found = diagnose(error, "")
    assert found.reason == reason
    assert words in found.message


def test_the_cause_inside_a_wrapper_is_named() -> None:
    key = ConnectionKey("h", 1, True, True, None, None, None)
    inside = ssl.SSLCertVerificationError(1, SENT)
    inside.verify_code = 10
    found = diagnose(aiohttp.ClientConnectorCertificateError(key, inside), "")
    assert found.reason == "TLSFailed"
    assert "the certificate has expired" in found.message


def test_the_subject_of_a_permissions_error_is_read_and_not_shown() -> None:
    error = nats_errors.Error('nats: permissions violation for publish to "wadm.api.hunter2"')
    assert denied_subject(error) == ("publish", "wadm.api.hunter2")
    assert "hunter2" not in diagnose(error, "").message
