"""What a connection is made of: addresses, credentials, TLS; and that no secret shows."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.lattice.jwt import Account
from testbed.pki import Pki
from wasmcloud_operator.lattice.errors import InvalidConnection
from wasmcloud_operator.lattice.spec import ConnectionSpec

CREDENTIALS = Account("A").credentials("u")
JWT, SEED = CREDENTIALS.splitlines()[1], CREDENTIALS.splitlines()[8]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("nats.default.svc", "nats://nats.default.svc:4222"),
        (" nats:4223 ", "nats://nats:4223"),
        ("nats://nats/", "nats://nats:4222"),
        ("tls://u:p@nats", "tls://u:p@nats:4222"),
        ("nats://[fd00::1]", "nats://[fd00::1]:4222"),
        ("ws://nats/path", "ws://nats:80/path"),
        ("wss://nats:8443", "wss://nats:8443"),
    ],
)
def test_addresses_are_made_canonical(given: str, made: str) -> None:
    assert ConnectionSpec((given,)).servers == (made,)


@pytest.mark.parametrize(
    "given", ["", "http://nats", "nats://", "nats:port", "nats://nats:99999", "nats://a b", "nats://[::1", "://x"]
)
def test_addresses_that_are_none(given: str) -> None:
    with pytest.raises(InvalidConnection, match="servers"):
        ConnectionSpec((given,))


def test_no_address_and_mixed_ones() -> None:
    with pytest.raises(InvalidConnection, match="at least one"):
        ConnectionSpec(())
    with pytest.raises(InvalidConnection, match="mixed"):
        ConnectionSpec(("nats://a", "ws://b"))


def test_credentials_in_any_line_ending_are_one_spec() -> None:
    plain = ConnectionSpec(("a",), credentials=CREDENTIALS)
    crlf = ConnectionSpec(("a",), credentials=CREDENTIALS.replace("\n", "\r\n"))
    spaced = ConnectionSpec(("a",), credentials=f"\n\n{CREDENTIALS}".replace("JWT-----\n", "JWT-----\n\n  "))
    assert plain == crlf == spaced
    assert plain.digest == crlf.digest
    assert "\r" not in crlf.credentials
    assert plain.digest != ConnectionSpec(("a",)).digest
    assert plain.digest != ConnectionSpec(("a",), credentials=Account("A").credentials("u")).digest


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (" ", "no NATS USER JWT"),
        ("password", "no NATS USER JWT"),
        (CREDENTIALS.replace("BEGIN NATS USER JWT", "BEGIN"), "no NATS USER JWT"),
        (CREDENTIALS.replace(JWT, "a.b"), "three parts"),
        (CREDENTIALS.replace("BEGIN USER NKEY SEED", "BEGIN"), "no USER NKEY SEED"),
        (CREDENTIALS.replace(SEED, "SA" + SEED[2:]), "not a user's"),
        (CREDENTIALS.replace(SEED, SEED[:20]), "damaged"),
        (CREDENTIALS.replace(SEED, "SU!!!"), "damaged"),
    ],
)
def test_malformed_credentials_are_refused_without_quoting_them(text: str, complaint: str) -> None:
    with pytest.raises(InvalidConnection, match=complaint) as caught:
        ConnectionSpec(("a",), credentials=text)
    assert caught.value.part == "credentials"
    assert JWT not in str(caught.value)
    assert SEED[4:] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_tls_material(tmp_path: Path) -> None:
    pki = Pki.create(tmp_path, ["127.0.0.1"])
    ca, certificate, key = (path.read_text() for path in (pki.ca_cert, pki.serving_cert, pki.serving_key))
    spec = ConnectionSpec(("tls://a",), ca=ca, client_certificate=certificate, client_key=key)
    assert spec.uses_tls
    assert len(spec.tls_context().get_ca_certs()) == 1
    assert not ConnectionSpec(("nats://a",)).uses_tls
    with pytest.raises(InvalidConnection, match="CA: not a PEM"):
        replace(spec, ca="nonsense")
    with pytest.raises(InvalidConnection, match="one is missing"):
        replace(spec, client_key="")
    with pytest.raises(InvalidConnection, match="its own unencrypted PEM key"):
        replace(spec, client_key=pki.ca_key.read_text())
    for secret in (key, certificate, ca):
        assert secret.splitlines()[1] not in repr(spec)


def test_repr_hides_passwords_and_credentials() -> None:
    spec = ConnectionSpec(("nats://user:hunter2@a",), credentials=CREDENTIALS)
    assert repr(spec) == f"<ConnectionSpec nats://a:4222 digest={spec.digest}>"
    assert spec.addresses == ("nats://a:4222",)


def with_claims(claims: object) -> ConnectionSpec:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return ConnectionSpec(("nats",), CREDENTIALS.replace(JWT, f"e30.{body}.sig"))


def test_the_account_is_the_issuers_or_that_for_which_a_signing_key_signed() -> None:
    account = Account("A")
    assert ConnectionSpec(("nats",), account.credentials("u")).account == account.public
    assert with_claims({"iss": "ASIGNER", "nats": {"issuer_account": "AOWNER"}}).account == "AOWNER"
    assert [with_claims(claims).account for claims in ({}, [], {"nats": 1}, {"iss": None})] == ["", "", "", ""]
    assert [with_claims({"iss": odd}).account for odd in ("\ud800", {"a": 1}, ["A"], 5, "A" * 1000, "a b")] == [""] * 6
    assert ConnectionSpec(("nats",), CREDENTIALS.replace(JWT, "a.!.b")).account == ""
    assert ConnectionSpec(("nats",)).account == ""


def test_the_credentials_end_when_their_jwt_does() -> None:
    account = Account("A")
    assert ConnectionSpec(("nats",), account.credentials("u")).expires is None
    assert ConnectionSpec(("nats",)).expires is None
    endings = ({"exp": 1_800_000_000}, {"exp": 0}, {"exp": "soon"}, {"exp": None}, [])
    assert [with_claims(claims).expires for claims in endings] == [1_800_000_000.0, None, None, None, None]
