"""Names of Services, and the keys by which lattices of one name differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.lattice.jwt import Account
from wasmcloud_operator.expose import naming
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec


@pytest.mark.parametrize("name", ["hello", "a", "a-b-1", "a" * 63])
def test_a_valid_name_stays(name: str) -> None:
    assert naming.service_name(name) == name


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("My_App", "my-app-"),
        ("1st", "app-1st-"),
        ("_", "app-"),
        ("-x-", "x-"),
        ("a" * 64, "a" * 54 + "-"),
        ("é", "app-"),
    ],
)
def test_an_invalid_one_is_made_valid_with_a_hash(name: str, begins: str) -> None:
    assert naming.service_name(name).startswith(begins)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200), st.text(max_size=200))
def test_names_are_valid_stable_and_never_the_same_for_two(one: str, other: str) -> None:
    made = naming.service_name(one)
    assert naming.is_service_name(made)
    assert made == naming.service_name(one)
    assert (made == naming.service_name(other)) == (one == other)


def test_two_lattices_of_one_name_have_different_keys() -> None:
    def key(url: str, name: str = "default", **more: Any) -> str:
        return LatticeRoute(ConnectionSpec((url,), **more), name).identity.id

    assert key("nats://a:4222") != key("nats://b:4222")
    assert key("nats://a:4222") != key("nats://a:4222", "other")
    assert key("nats://user:former@a:4222") == key("nats://user:rotated@a:4222"), "passwords may be rotated"
    assert key("nats://user:secret@a:4222") != key("nats://other:secret@a:4222"), "who may be of another account"
    assert key("nats://former@a:4222") == key("nats://rotated@a:4222"), "a token, which is not revealed"
    one, other = Account("one"), Account("other")
    of_one = key("nats://a:4222", credentials=one.credentials("u"))
    assert of_one == key("nats://a:4222", credentials=one.credentials("v")), "users of one account see the same"
    assert of_one != key("nats://a:4222", credentials=other.credentials("u")), "and another account's do not"
