"""The options of commands that talk to wadm: how NATS is reached."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from wasmcloud_operator.lattice.subjects import DEFAULT_WADM_PREFIX

if TYPE_CHECKING:
    from wasmcloud_operator.lattice.spec import ConnectionSpec
    from wasmcloud_operator.lattice.wadm import WadmReader

R = TypeVar("R")

_DEFAULT = "nats://127.0.0.1:4222"


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """Where NATS is, the credentials for it, and how wadm's subjects begin there."""

    address: str
    credentials: Path | None
    wadm_prefix: str

    def spec(self) -> ConnectionSpec:
        """Returns the connection. Raises InvalidConnection, OSError, UnicodeDecodeError."""
        from wasmcloud_operator.lattice.spec import ConnectionSpec

        text = self.credentials.read_text(encoding="utf-8") if self.credentials else ""
        return ConnectionSpec((self.address,), credentials=text)

    async def ask(self, lattice: str, read: Callable[[WadmReader], Awaitable[R]], *, timeout: float = 5.0) -> R:
        """Returns what `read` makes of a lattice's wadm. Raises the errors of `lattice.errors`, and as `spec`."""
        from wasmcloud_operator.lattice.connection_pool import ConnectionPool
        from wasmcloud_operator.lattice.errors import LatticeError
        from wasmcloud_operator.lattice.wadm import WadmReader

        spec = self.spec()
        failure: LatticeError
        async with ConnectionPool() as connections:
            try:
                connection = connections.acquire(spec).connection
                return await read(WadmReader(connection, lattice, prefix=self.wadm_prefix, timeout=timeout))
            except LatticeError as error:
                failure = error  # raised in there it would come out as an ExceptionGroup
        raise failure


def given(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options; the command gets them as its parameter `nats`."""

    @click.option("--nats", "address", default=_DEFAULT, envvar="NATS_URL", show_default=True, help="NATS address.")
    @click.option(
        "--creds",
        "credentials",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="A NATS creds file.",
    )
    @click.option("--wadm-prefix", default=DEFAULT_WADM_PREFIX, show_default=True, help="How wadm's subjects begin.")
    @functools.wraps(command)
    def with_nats(address: str, credentials: Path | None, wadm_prefix: str, **others: object) -> None:
        command(nats=NatsOptions(address, credentials, wadm_prefix), **others)

    return with_nats
