"""What proves that two routes lead to one lattice, and what does not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from support.lattice.jwt import Account
from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.errors import AnswerLost, LatticeError, NoResponders, NotPermitted
from wasmcloud_operator.lattice.identity import Evidence, LatticeRoute, account_of
from wasmcloud_operator.lattice.spec import ConnectionSpec


def route(servers: str = "nats://a", name: str = "default", credentials: str = "") -> LatticeRoute:
    return LatticeRoute(ConnectionSpec(tuple(servers.split(",")), credentials), name)


_NUMBERS = itertools.count()


def evidence(account: str, *servers: ServerInfo, address: str = "") -> Evidence:
    """Of servers that were reached at addresses which nobody else used, unless one is given."""
    found = Evidence()
    for server in servers:
        found.take(route(f"nats://{address or next(_NUMBERS)}"), server, account)
    return found


def surely_one(*routes: LatticeRoute) -> bool:
    """Whether all of them lead to one place."""
    return len({one.place for one in routes}) == 1 and routes[0].place is not None


def test_routes_that_lead_to_one_lattice_are_known_without_connecting() -> None:
    one = Account("one")
    assert surely_one(route("nats://b,nats://a"), route("nats://a,nats://b"))
    assert not surely_one(route(), route("nats://a,nats://b")), "b may be anybody's server"
    assert not surely_one(route(credentials=one.credentials("u")), route(credentials=one.credentials("v"))), "or forged"
    assert not surely_one(route(credentials=one.credentials("u")), route()), "whose account nobody knows"
    assert not surely_one(route("nats://u:x@a"), route("nats://v:x@a")), "two users may be of two accounts"
    assert not surely_one(route(), route("nats://b"))
    assert not surely_one(route(), route(name="other"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (evidence("A", ServerInfo("S")), evidence("A", ServerInfo("S")), True),
        (evidence("A", ServerInfo("S")), evidence("B", ServerInfo("S")), False),
        (evidence("", ServerInfo("S")), evidence("", ServerInfo("S")), False),
        (evidence("A", ServerInfo("S")), evidence("A", ServerInfo("T")), False),
        (evidence("A", ServerInfo("S", "nats", ("x", "y"))), evidence("A", ServerInfo("T", "nats", ("y",))), True),
        (evidence("A", ServerInfo("S", "nats", ("x",))), evidence("A", ServerInfo("T", "nats", ("y",))), False),
        (evidence("A", ServerInfo("S", "", ("x",))), evidence("A", ServerInfo("T", "", ("x",))), False),
        (evidence("A", ServerInfo("S"), ServerInfo("T")), evidence("A", ServerInfo("T")), True),
        (evidence("A", ServerInfo("S"), address="a"), evidence("A", ServerInfo("T"), address="a"), True),
        (evidence("A", ServerInfo("S"), address="a"), evidence("B", ServerInfo("S"), address="a"), False),
    ],
    ids=[
        "one server, one account",
        "two accounts of one server",
        "accounts that nobody names",
        "two servers",
        "members of one cluster",
        "two clusters of one name",
        "servers without a cluster",
        "one route of two",
        "a server that was started anew",
        "two accounts at one address",
    ],
)
def test_the_proof_is_tried_where_servers_announce_one_system(one: Evidence, other: Evidence, same: bool) -> None:
    assert bool(one.signs & other.signs) is same


class Server:
    """Answers who its user is, or does not."""

    def __init__(self, answer: bytes | LatticeError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def request(self, subject: str, *, timeout: float) -> bytes:
        self.asked.append(subject)
        if isinstance(self.answer, LatticeError):
            raise self.answer
        return self.answer


OWN = Account("own")


@pytest.mark.parametrize(
    ("credentials", "required", "answer", "account"),
    [
        (True, True, b"never asked", OWN.public),
        (True, False, b'{"data": {"account": "$G"}}', "$G"),
        (True, False, NoResponders("$SYS", "nobody listens"), OWN.public),
        (True, False, NotPermitted("$SYS", "not permitted"), OWN.public),
        (True, False, AnswerLost("late"), ""),
        (True, False, b'{"data": {"account": 1}}', ""),
        (False, True, b'{"data": {"account": "A"}}', "A"),
        (False, False, b'{"data": {"account": "$G"}}', "$G"),
        (False, False, NoResponders("$SYS", "nobody listens"), ""),
        (False, False, b"[]", ""),
    ],
    ids=[
        "a JWT that is looked at",
        "a JWT that is not looked at",
        "a JWT, nobody to ask",
        "a JWT, not permitted to ask",
        "a JWT, no answer in time",
        "a JWT, no account in the answer",
        "a password",
        "no credentials",
        "no credentials, nobody to ask",
        "no credentials, no answer that is one",
    ],
)
async def test_the_account_is_that_of_the_jwt_where_the_server_looks_at_it_and_else_the_servers_word(
    credentials: bool, required: bool, answer: bytes | LatticeError, account: str
) -> None:
    server: Any = Server(answer)
    spec = ConnectionSpec(("nats://a",), OWN.credentials("u") if credentials else "")
    assert await account_of(server, spec, ServerInfo("S", auth_required=required)) == account
    assert bool(server.asked) is not (credentials and required)


def test_a_dropped_route_suggests_nothing_any_more() -> None:
    left = evidence("A", ServerInfo("S"), address="left")
    left.forget(route("nats://left"))
    assert not left.signs


def test_the_same_addresses_and_account_need_no_further_proof() -> None:
    left, right = evidence("A", ServerInfo("S"), address="a"), evidence("A", ServerInfo("T"), address="a")
    assert left.proves_same(right)
    assert not left.proves_same(evidence("B", ServerInfo("S"), address="a"))
    assert not evidence("", ServerInfo("S"), address="a").proves_same(evidence("", ServerInfo("S"), address="a"))
    wider = Evidence()
    wider.take(route("nats://a,nats://b"), ServerInfo("S"), "A")
    assert left.signs & wider.signs
    assert not left.proves_same(wider), "b may be anybody's server"
