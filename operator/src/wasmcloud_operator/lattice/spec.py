"""What it takes to reach one NATS system: addresses, credentials, TLS. Validated before NATS sees any of it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import nkeys

from wasmcloud_operator.lattice import armor
from wasmcloud_operator.lattice.errors import InvalidConnection

_ADDRESS_LIMIT = 2048
_NEVER = 253_402_300_800  # the year 10000; a JWT may hold a number that no float can
_PUBLIC_KEY = re.compile(r"[A-Z2-7]{1,100}")
_SCHEMES = {"nats": 4222, "tls": 4222, "ws": 80, "wss": 443}
_WEBSOCKET = frozenset({"ws", "wss"})
_ENCRYPTED = frozenset({"tls", "wss"})


@dataclass(frozen=True)
class ConnectionSpec:
    """How to connect; equal specs share one connection.

    `servers` are URLs (nats, tls, ws or wss; a bare `host` or `host:port` means nats), `credentials` is the text of a
    NATS creds file, the rest is PEM text; "" means none. What is malformed raises `InvalidConnection` at once, CRLF and
    blank lines in the credentials are made canonical. `repr` and the errors show no secret.
    """

    servers: tuple[str, ...]
    credentials: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    client_certificate: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.servers:
            raise InvalidConnection("servers", "name at least one NATS address")
        servers = tuple(_normal_server(server) for server in self.servers)
        if len({urlsplit(server).scheme in _WEBSOCKET for server in servers}) > 1:
            raise InvalidConnection("servers", "websocket (ws, wss) and other addresses cannot be mixed")
        if (self.ca or self.client_certificate) and any(urlsplit(server).scheme == "ws" for server in servers):
            raise InvalidConnection("servers", "ws:// is never encrypted, and TLS is asked for: write wss://")
        object.__setattr__(self, "servers", servers)
        if self.credentials:
            object.__setattr__(self, "credentials", _canonical_credentials(self.credentials))
        if bool(self.client_certificate) != bool(self.client_key):
            raise InvalidConnection("client certificate", "a certificate and its key are needed, one is missing")
        if self.ca or self.client_certificate:
            self.tls_context()

    def __repr__(self) -> str:
        return f"<ConnectionSpec {', '.join(self.addresses)} digest={self.digest}>"

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that stand for the whole spec, secrets included, without revealing them."""
        hashed = hashlib.sha256()
        for part in (*self.servers, "", self.credentials, self.ca, self.client_certificate, self.client_key):
            hashed.update(f"{len(part)}:{part}".encode())
        return hashed.hexdigest()[:16]

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """The servers without user names and passwords, fit for a log or a status."""
        return tuple(without_userinfo(server) for server in self.servers)

    @cached_property
    def account(self) -> str:
        """The public key of the NATS account that the credentials are of, "" where they do not name one.

        The same for all its users: other credentials of an account lead to the same lattices, another account's do not.
        """
        claims = self._claims
        nats = claims.get("nats")
        # a signing key of the account may have signed in the account's place
        signed_for = nats.get("issuer_account") if isinstance(nats, dict) else None
        account = signed_for or claims.get("iss")
        return account if isinstance(account, str) and _PUBLIC_KEY.fullmatch(account) else ""

    @cached_property
    def expires(self) -> float | None:
        """When the credentials end, in seconds since the epoch; None for those that do not."""
        moment = self._claims.get("exp")
        return float(moment) if isinstance(moment, int | float) and 0 < moment < _NEVER else None

    @cached_property
    def _claims(self) -> dict[str, object]:
        jwt = armor.token(self.credentials, armor.USER_JWT)
        return _claims(jwt) if jwt else {}

    @property
    def anonymous(self) -> bool:
        """Whether the server cannot know who connects, so that its default account is used."""
        return not (
            self.credentials or self.client_certificate or any(urlsplit(server).username for server in self.servers)
        )

    @property
    def uses_tls(self) -> bool:
        """Whether TLS is asked for; NATS can also demand it of a plain nats:// address."""
        return any(self.wants_tls_of(server) for server in self.servers)

    def wants_tls_of(self, server: str) -> bool:
        """Whether nothing may be sent to that server in clear text: the rule for the operator and for leaf nodes."""
        return bool(self.ca or self.client_certificate) or urlsplit(server).scheme in _ENCRYPTED

    def tls_context(self) -> ssl.SSLContext:
        """A client context with the spec's authorities (else the system's) and its client certificate."""
        if max(map(len, (self.ca, self.client_certificate, self.client_key))) > armor.CERTIFICATES_LIMIT:
            raise InvalidConnection("CA", f"more than {armor.CERTIFICATES_LIMIT // 1024} KiB of certificates")
        authorities = armor.certificates(self.ca)
        if self.ca and not (authorities and authorities.isascii()):
            raise InvalidConnection("CA", "not a PEM certificate")
        try:
            context = ssl.create_default_context(cadata=authorities or None)
        except (ssl.SSLError, ValueError):
            raise InvalidConnection("CA", "not a PEM certificate") from None
        if self.client_certificate:
            try:
                with _file_of(f"{self.client_certificate.strip()}\n{self.client_key.strip()}\n") as path:
                    context.load_cert_chain(path, password="")
            except (ssl.SSLError, ValueError, OSError):
                raise InvalidConnection(
                    "client certificate", "not a PEM certificate with its own unencrypted PEM key"
                ) from None
        return context


def without_userinfo(server: str) -> str:
    """The URL without user name and password."""
    parts = urlsplit(server)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _normal_server(server: str) -> str:
    text = server.strip()
    if len(text) > _ADDRESS_LIMIT:
        raise InvalidConnection("servers", f"an address has more than {_ADDRESS_LIMIT} characters")
    parts = _split(text if "://" in text else f"nats://{text}")
    if parts.scheme not in _SCHEMES:
        raise InvalidConnection("servers", "the scheme of an address is unknown: use nats, tls, ws or wss")
    if not parts.hostname or len(text.split()) != 1:
        raise InvalidConnection("servers", "an address has no host name, or a space in it")
    userinfo, at, host = parts.netloc.rpartition("@")
    port = parts.port or _SCHEMES[parts.scheme]
    host = host if parts.port else f"{host.rstrip(':')}:{port}"
    return parts._replace(netloc=f"{userinfo}{at}{host}", path=parts.path.rstrip("/"), query="", fragment="").geturl()


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise InvalidConnection("servers", "an address is not a URL, or its port is not a number up to 65535") from None
    return parts


def _canonical_credentials(text: str) -> str:
    """The creds file as `nsc` writes it: nats-py loops for ever over a text without a JWT and trips over CRLF."""
    if len(text) > armor.CREDENTIALS_LIMIT:
        raise InvalidConnection("credentials", f"more than {armor.CREDENTIALS_LIMIT // 1024} KiB")
    jwt, seed = armor.token(text, armor.USER_JWT), armor.token(text, armor.USER_SEED)
    if not jwt:
        raise InvalidConnection("credentials", "no NATS USER JWT section: put the whole creds file there")
    if len(jwt.split(".")) != 3:
        raise InvalidConnection("credentials", "the user JWT does not have its three parts")
    if not seed:
        raise InvalidConnection("credentials", "no USER NKEY SEED section: put the whole creds file there")
    if not seed.startswith("SU"):
        raise InvalidConnection("credentials", "the seed is not a user's (these begin with SU)")
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except Exception:  # noqa: BLE001 - binascii and nkeys errors alike, whose texts may quote the seed
        raise InvalidConnection("credentials", "the user seed is damaged") from None
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )


def _claims(jwt: str) -> dict[str, object]:
    """Returns the claims of a user JWT, unverified: the server judges it. Nothing where it cannot be read."""
    try:
        body = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


@contextmanager
def _file_of(text: str) -> Iterator[Path]:
    """A file for a library that takes nothing else: in memory where the system can, so that no key reaches a disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client-certificate")
        try:
            os.write(descriptor, text.encode())
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pem")
        path.touch(mode=0o600)
        path.write_text(text)
        yield path
