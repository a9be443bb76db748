"""The lattice control interface, as far as the operator asks hosts for anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from wasmcloud_operator.base.write_gate import WriteGate
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.errors import GarbledAnswer
from wasmcloud_operator.lattice.host_events import HostSeen, Inventory, control_answer, parse_inventory, parse_pong
from wasmcloud_operator.lattice.request_limit import RequestLimit
from wasmcloud_operator.lattice.sending import writing
from wasmcloud_operator.lattice.subjects import DEFAULT_CONTROL_PREFIX, ControlSubjects


@dataclass(frozen=True, slots=True)
class Link:
    """A link from the component or provider `source` on. `wire` is the host's own JSON, to be put again unchanged."""

    source: str
    wire: bytes


@dataclass(frozen=True, slots=True)
class RegistryCredential:
    """User name and password for a registry, or a token alone: hosts take anything else for none. Not in `repr`."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def as_json(self) -> dict[str, str]:
        """The wire form of the control interface."""
        filled = {"username": self.username, "password": self.password, "token": self.token}
        return {**{key: value for key, value in filled.items() if value}, "registryType": "oci"}


def credentials_json(credentials: Mapping[str, RegistryCredential]) -> dict[str, dict[str, str]]:
    """By registry host (`ghcr.io`, `localhost:5000`), the wire form."""
    return {registry: credential.as_json() for registry, credential in credentials.items()}


class ControlReader:
    """The hosts of one lattice. `timeout` in seconds bounds each request and each gathering of answers.

    Methods raise what `Connection.request` raises, `GarbledAnswer`, and `ControlRejected` with the host's own text.
    """

    def __init__(self, connection: Channel, lattice: str, *, prefix: str, timeout: float) -> None:
        self.subjects = ControlSubjects(lattice, prefix)
        self.limit = RequestLimit(f"the hosts of lattice {lattice}")
        self._connection = connection
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.subjects.lattice} on {self._connection!r}>"

    async def ping(self) -> tuple[HostSeen, ...]:
        """The hosts that answer; malformed answers are left out."""
        answers = await self._connection.request_many(self.subjects.ping, timeout=self._timeout)
        return tuple(host for host in map(parse_pong, answers) if host)

    async def inventory(self, host_id: str) -> Inventory:
        """What a host runs. `NoResponders`: there is no such host.

        It does not go through the request limit: one host that is silent says nothing about the others.
        """
        answer = await self._connection.request(self.subjects.inventory(host_id), timeout=self._timeout)
        return parse_inventory(host_id, answer)

    async def config(self, name: str) -> dict[str, str] | None:
        """A named configuration of the lattice; None when it is not set.

        `NoResponders`: no host is there to ask. `LatticeBusy`: too many ask already, or the last one got no answer.
        """
        with self.limit:
            answer = await self._connection.request(self.subjects.config(name), timeout=self._timeout)
        response = control_answer(answer)
        if response is None:
            return None
        if not isinstance(response, dict):
            raise GarbledAnswer(f"configuration {name} is not an object")
        return {key: value for key, value in response.items() if isinstance(value, str)}

    async def links(self) -> tuple[Link, ...]:
        """The links of the lattice. Raises as `config`."""
        with self.limit:
            answer = await self._connection.request(self.subjects.links, timeout=self._timeout)
        return parse_links(control_answer(answer))


class ControlWriter(ControlReader):
    """The hosts of one lattice, to send them something as well, for the time that `gate` leaves."""

    def __init__(
        self,
        connection: Channel,
        lattice: str,
        *,
        gate: WriteGate,
        prefix: str = DEFAULT_CONTROL_PREFIX,
        timeout: float = 2.0,
    ) -> None:
        super().__init__(connection, lattice, prefix=prefix, timeout=timeout)
        self._gate = gate

    async def put_registries(self, credentials: Mapping[str, RegistryCredential]) -> int:
        """Sends every running host credentials by registry. Returns how many hosts took them.

        Whoever may subscribe to the lattice's control interface can read them. Hosts that start later do not get them.
        Raises `ControlRejected` when a host refuses.
        """
        payload = json.dumps(credentials_json(credentials)).encode()
        with writing(self._gate, self._timeout, self.subjects.registries) as seconds:
            answers = await self._connection.request_many(self.subjects.registries, payload, timeout=seconds)
        for answer in answers:
            control_answer(answer)
        return len(answers)

    async def put_link(self, link: Link) -> None:
        """Has a host store a link and announce it to the running providers. Harmless where they have it."""
        with writing(self._gate, self._timeout, self.subjects.put_link) as seconds:
            answer = await self._connection.request(self.subjects.put_link, link.wire, timeout=seconds)
        control_answer(answer)


def parse_links(response: object) -> tuple[Link, ...]:
    """Returns the links of a host's answer; entries that are not such are left out."""
    entries = response if isinstance(response, list) else []
    return tuple(
        Link(entry["source_id"], json.dumps(entry).encode())
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("source_id"), str)
    )
