"""A whole testbed in one folder: a control plane and what else is asked for."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from testbed.components import Component, select
from testbed.controlplane import PROGRAMS, ControlPlane
from testbed.kwok import Kwok
from testbed.natsserver import NatsServer
from testbed.process import Server
from testbed.wadm import PROGRAM as WADM
from testbed.wadm import Wadm

PARTS = ("kwok", "nats", "wadm")


@dataclass(frozen=True)
class Stack:
    """A running testbed: what a program needs to find it, and its processes."""

    env: dict[str, str]
    servers: tuple[Server, ...]


def with_needs(parts: frozenset[str]) -> frozenset[str]:
    """The parts and those that they need: wadm needs NATS."""
    return parts | {"nats"} if "wadm" in parts else parts


def components_of(parts: frozenset[str]) -> list[Component]:
    """What has to be there before these parts can start; "control-plane" counts as one of them."""
    programs = {"control-plane": PROGRAMS, "nats": ("nats-server",), "wadm": (WADM,)}
    return select([name for part in with_needs(parts) for name in programs.get(part, (part,))])


@contextlib.asynccontextmanager
async def running(folder: Path, parts: frozenset[str], *, nodes: int = 3, audit: bool = False) -> AsyncIterator[Stack]:
    """A testbed with these of `PARTS` besides the control plane; logs are in `folder`/logs; all stopped at the end."""
    async with contextlib.AsyncExitStack() as stack:
        control_plane = await stack.enter_async_context(ControlPlane.start(folder, audit=audit))
        servers = [*control_plane.servers]
        env = {"KUBECONFIG": str(control_plane.kubeconfig)}
        if control_plane.audit:
            env["TESTBED_AUDIT_LOG"] = str(control_plane.audit.path)
        if "kwok" in parts:
            kwok = await stack.enter_async_context(Kwok.start(control_plane, nodes=nodes))
            servers.append(kwok.server)
        if "nats" in with_needs(parts):
            nats = await stack.enter_async_context(NatsServer.start(folder))
            servers.append(nats.server)
            env["NATS_URL"] = nats.url
            if "wadm" in parts:
                servers.append(await stack.enter_async_context(Wadm.start(folder, nats.url)))
        yield Stack(env, tuple(servers))
