"""When two ways to reach a lattice lead to the same one."""

from __future__ import annotations

from natsjwt import Account
from wasmcloud_operator.lattice.lattices import LatticeKey
from wasmcloud_operator.lattice.spec import ConnectionSpec


def key(servers: str = "nats://a", name: str = "default", credentials: str = "") -> LatticeKey:
    return LatticeKey(ConnectionSpec(tuple(servers.split(",")), credentials), name)


def test_more_addresses_and_other_credentials_of_the_account_lead_to_the_same_lattice() -> None:
    one, other = Account("one"), Account("other")
    assert key().same_lattice(key("nats://a,nats://b"))
    assert key("nats://user:former@a").same_lattice(key("nats://user:rotated@a"))
    assert key(credentials=one.credentials("u")).same_lattice(key(credentials=one.credentials("v")))
    assert key(credentials=one.credentials("u")).same_lattice(key()), "credentials that do not tell the account"

    assert not key(credentials=one.credentials("u")).same_lattice(key(credentials=other.credentials("u")))
    assert not key().same_lattice(key("nats://b"))
    assert not key().same_lattice(key(name="other"))
