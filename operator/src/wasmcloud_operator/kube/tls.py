"""What secures a connection to the API server, and what notices that its peer is gone."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from wasmcloud_operator.kube.errors import NoCredentials


@contextmanager
def certificates_named() -> Iterator[None]:
    """Raises NoCredentials for a certificate or key that is none: half a file, another format, with a passphrase."""
    try:
        yield
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise NoCredentials(
            f"the API server's CA, or the client's certificate and key, are unusable: {words}"
        ) from error


def tls_material(configuration: Any) -> tuple[bytes, ...]:
    """Returns what secures connections, to see whether it has changed: the contents of files, not their names."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return tuple(Path(file).read_bytes() if file else b"" for file in files)


def identity(configuration: Any) -> str:
    """Returns what distinguishes the API server from others at the same URL: a digest of that and its authorities."""
    known = hashlib.sha256(str(configuration.host).encode())
    if configuration.ssl_ca_cert:
        known.update(Path(configuration.ssl_ca_cert).read_bytes())
    return known.hexdigest()[:32]


def _no_passphrase() -> str:
    raise ValueError


def tls_context(configuration: Any) -> ssl.SSLContext:
    """Returns what new connections are secured with. Raises OSError or ValueError for files that are none of that."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        # OpenSSL would ask the terminal for a passphrase, and wait.
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file, password=_no_passphrase)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.disable_strict_ssl_verification:
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def socket_with_keepalive(address: aiohttp.AddrInfoType) -> socket.socket:
    """Returns a socket on which the kernel notices a peer that vanished without a FIN, within a minute."""
    family, kind, protocol, *_ = address
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 60_000)):
        if hasattr(socket, name):  # not every platform has all four
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection
