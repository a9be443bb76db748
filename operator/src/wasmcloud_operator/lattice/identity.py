"""What a lattice is, apart from how it is reached: decided by what proves it, never by a name alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wasmcloud_operator.lattice.connection_types import Channel, ServerInfo
from wasmcloud_operator.lattice.errors import LatticeError, NoResponders, NotPermitted
from wasmcloud_operator.lattice.spec import ConnectionSpec, without_userinfo
from wasmcloud_operator.lattice.subjects import (
    DEFAULT_CONTROL_PREFIX,
    DEFAULT_WADM_PREFIX,
    ControlSubjects,
    WadmSubjects,
)

_USER_INFO = "$SYS.REQ.USER.INFO"
_ASK_SECONDS = 2.0


@dataclass(frozen=True)
class LatticeRoute:
    """A way to a lattice: addresses, credentials and TLS, and how the lattice's subjects begin.

    Raises `InvalidName` for a name or prefix that cannot be part of a NATS subject.
    """

    spec: ConnectionSpec
    name: str
    control_prefix: str = DEFAULT_CONTROL_PREFIX
    wadm_prefix: str = DEFAULT_WADM_PREFIX

    def __post_init__(self) -> None:
        ControlSubjects(self.name, self.control_prefix)
        WadmSubjects(self.name, self.wadm_prefix)

    @property
    def subjects(self) -> tuple[str, str, str]:
        """What two routes to one lattice have in common whatever their addresses are."""
        return self.name, self.control_prefix, self.wadm_prefix

    @property
    def place(self) -> Hashable:
        """Where it leads as far as can be seen without connecting, the same for each route that surely leads there.

        That takes the same addresses, and no credentials; None with any: whose they are is the server's to say, a user
        JWT that names somebody else's account is made in a minute. One common address is not enough: another one of a
        route may be anybody's server.
        """
        return (self.subjects, frozenset(self.spec.addresses)) if self.spec.anonymous else None

    @property
    def identity(self) -> LatticeIdentity:
        """The lattice as far as this route alone shows."""
        return LatticeIdentity(self.name, self.ids[0], frozenset(self.ids))

    @property
    def ids(self) -> tuple[str, ...]:
        """Short names of the lattice, one for each address and user: fit for an annotation, without a secret."""
        return tuple(self._id(server) for server in sorted(self.spec.servers, key=without_userinfo))

    def _id(self, server: str) -> str:
        parts = [*self.subjects, without_userinfo(server)]
        url = urlsplit(server)
        if self.spec.account or (url.password and url.username):  # a user name alone is a token
            parts.append(self.spec.account or str(url.username))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class LatticeIdentity:
    """A lattice as others name it: its name, and an id that distinguishes lattices of that name.

    `ids` are all by which it is known: an id that was written down while another route was used is among them.
    """

    name: str
    id: str
    ids: frozenset[str]


@dataclass(slots=True)
class Evidence:
    """What servers have announced of the NATS system and account behind a lattice's routes."""

    account: str = ""
    """Empty while unknown: then nothing is suggested."""

    servers: dict[LatticeRoute, ServerInfo] = field(default_factory=dict)
    """What was announced last on each route: an address may lead somewhere else later."""

    def take(self, route: LatticeRoute, server: ServerInfo, account: str) -> None:
        """Add what the server at the end of a route has announced."""
        self.account = account or self.account
        self.servers[route] = server

    def absorb(self, other: Evidence) -> None:
        """Add what is known of the same lattice by other routes."""
        self.account = self.account or other.account
        self.servers |= other.servers

    def forget(self, route: LatticeRoute) -> None:
        """The route is not used any more."""
        self.servers.pop(route, None)

    def proves_same(self, other: Evidence) -> bool:
        """Whether both are of one account, by routes that have the very same addresses, whatever their users are."""
        if not self.account or self.account != other.account:
            return False
        addresses = {frozenset(route.spec.addresses) for route in other.servers}
        return any(frozenset(route.spec.addresses) in addresses for route in self.servers)

    @property
    def signs(self) -> frozenset[Hashable]:
        """Signs: two lattices that share none are not the same, so that the proof (`proof`) is not worth a try.

        That is the account with a server, an address, or a member of a cluster. It is no proof: everybody who connects
        to a server learns its id, and may run another that claims the same.
        """
        if not self.account:
            return frozenset()
        return frozenset((self.account, *sign) for sign in self._signs())

    def _signs(self) -> Iterator[tuple[str, ...]]:
        for route, server in self.servers.items():
            yield "server", server.id
            yield from (("address", address) for address in route.spec.addresses)
            if server.cluster:
                yield from (("member", server.cluster, url) for url in server.urls)


async def account_of(channel: Channel, spec: ConnectionSpec, server: ServerInfo) -> str:
    """The account that a connected user belongs to; "" where nothing shows it, or the server did not answer in time.

    That is the account of the user JWT, on a server that lets nobody in without: any other takes a JWT as well, does
    not look at it, and has to be asked.
    """
    if spec.account and server.auth_required:
        return spec.account
    try:
        answer = json.loads(await channel.request(_USER_INFO, timeout=_ASK_SECONDS))
        account = answer["data"]["account"]
    except (NoResponders, NotPermitted):
        return spec.account
    except (LatticeError, ValueError, KeyError, TypeError):
        return ""
    return account if isinstance(account, str) else ""
