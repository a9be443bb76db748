"""Operator, account and user JWTs for a NATS server, made in the test, of the form that `nsc` makes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from dataclasses import dataclass, field

import nkeys


def _new_key(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(issuer: nkeys.KeyPair, subject: str, name: str, claims: dict[str, object], expires: float | None) -> str:
    body: dict[str, object] = {
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "sub": subject,
        "name": name,
        "nats": {"version": 2, **claims},
    }
    if expires is not None:
        body["exp"] = int(expires)
    body["jti"] = base64.b32encode(hashlib.sha256(json.dumps(body).encode()).digest()).decode().rstrip("=")
    signed = (
        f"{_encode(json.dumps({'typ': 'JWT', 'alg': 'ed25519-nkey'}).encode())}.{_encode(json.dumps(body).encode())}"
    )
    return f"{signed}.{_encode(issuer.sign(signed.encode()))}"


def public_key_of(credentials: str) -> str:
    """Whose creds file it is."""
    claims = credentials.splitlines()[1].split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])


@dataclass
class Account:
    """An account of the operator, without limits."""

    name: str
    key: nkeys.KeyPair = field(default_factory=lambda: _new_key(nkeys.PREFIX_BYTE_ACCOUNT))
    revoked: dict[str, int] = field(default_factory=dict)

    def revoke(self, user: str) -> None:
        """Let no user with this public key in who was made until now; counts in the account's next JWT."""
        self.revoked[user] = int(time.time())

    @property
    def public(self) -> str:
        return self.key.public_key.decode()

    def credentials(
        self, user: str, *, lifetime: float | None = None, permissions: dict[str, object] | None = None
    ) -> str:
        """The creds file of a new user; `lifetime` in seconds from now (whole seconds count), None for ever."""
        key = _new_key(nkeys.PREFIX_BYTE_USER)
        claims = {"type": "user", "subs": -1, "data": -1, "payload": -1, **(permissions or {})}
        expires = None if lifetime is None else time.time() + lifetime
        jwt = _sign(self.key, key.public_key.decode(), user, claims, expires)
        return (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "NKEY Seed printed below can be used to sign and prove identity.\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{key.seed.decode()}\n------END USER NKEY SEED------\n"
        )


class Operator:
    """The root of trust of a NATS server, with a system account and the accounts given."""

    def __init__(self, *accounts: Account) -> None:
        self._key = _new_key(nkeys.PREFIX_BYTE_OPERATOR)
        self.system = Account("SYS")
        self.accounts = (self.system, *accounts)

    def server_config(self, folder: str = "") -> str:
        """Lines for nats.conf: operator, system account, resolver with every account.

        With a `folder` of the server's the accounts are kept there and can be changed over NATS.
        """
        operator = _sign(
            self._key,
            self._key.public_key.decode(),
            "testbed",
            {"type": "operator", "system_account": self.system.public},
            None,
        )
        preload = "\n".join(f"  {account.public}: {self.jwt_of(account)}" for account in self.accounts)
        resolver = f'{{ type: full, dir: "{folder}" }}' if folder else "MEMORY"
        return (
            f"operator: {operator}\nsystem_account: {self.system.public}\n"
            f"resolver: {resolver}\nresolver_preload: {{\n{preload}\n}}\n"
        )

    def jwt_of(self, account: Account) -> str:
        """What the server believes of an account."""
        unlimited = dict.fromkeys(
            (
                "subs",
                "data",
                "payload",
                "imports",
                "exports",
                "conn",
                "leaf",
                "mem_storage",
                "disk_storage",
                "streams",
                "consumer",
            ),
            -1,
        )
        storage = ("mem_storage", "disk_storage", "streams", "consumer")
        if account is self.system:
            unlimited = {key: value for key, value in unlimited.items() if key not in storage}
        claims = {"type": "account", "limits": {**unlimited, "wildcards": True}}
        if account.revoked:
            claims["revocations"] = account.revoked
        return _sign(self._key, account.public, account.name, claims, None)
