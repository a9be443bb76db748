"""Applications of a lattice that is reached by several routes, or by another one than before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.operators.in_process import RunningOperator
from support.sites.applications import APP, CONFIG, Site, host_config, impatient, why
from testbed import Admin, ControlPlane, NatsServer, Server, Wadm
from testbed.admin import Object, condition


def users(*names: str) -> str:
    """wadm is who connects without credentials."""
    listed = ", ".join(f"{{user: {name}, password: x}}" for name in ("wadm", *names))
    return f"accounts {{ APPS {{ jetstream: enabled, users: [{listed}] }} }}\nno_auth_user: wadm\n"


@pytest.fixture(autouse=True)
def _impatient() -> Iterator[None]:
    with impatient():
        yield


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "nats", config_extra=users("one", "two")) as started:
        yield started


@pytest.fixture
async def own_wadm(server: NatsServer, tmp_path: Path) -> AsyncIterator[Server]:
    async with Wadm.start(tmp_path / "wadm", server.url) as started:
        yield started


def as_user(server: NatsServer, name: str) -> str:
    return server.url.replace("://", f"://{name}:x@")


async def test_a_route_with_dead_credentials_holds_up_nobody(
    admin: Admin, crds: ControlPlane, server: NatsServer, own_wadm: Server
) -> None:
    async with Site.open(admin, server) as site:
        dead = host_config(site.namespace, site.lattice, as_user(server, "nobody"), "a-dead")
        await admin.create(dead)
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            await site.create()
            app = await site.deployed()
            assert app["status"]["hostConfig"] == "pool"
            await site.change("x/web:2")
            await site.deployed()
            await admin.wait_for(CONFIG, "a-dead", site.namespace, lambda pool: connected(pool, "CredentialsRejected"))
            await admin.delete(APP, "hello", site.namespace)
            await site.gone()


@pytest.mark.parametrize("ended", [["two"], ["one", "two"]], ids=["credentials end", "and are rotated before"])
async def test_an_application_deleted_while_its_credentials_were_dead_is_removed_when_they_are_rotated(
    admin: Admin, crds: ControlPlane, server: NatsServer, own_wadm: Server, ended: list[str]
) -> None:
    async with Site.open(admin, server) as site:
        await admin.patch(CONFIG, "pool", site.namespace, {"spec": {"natsAddress": as_user(server, "one")}})
        async with RunningOperator.start(crds, watch_namespaces=site.namespace):
            await site.create()
            await site.deployed()
            await server.restart(users(*ended))
            if "one" not in ended:
                await admin.wait_for(
                    CONFIG, "pool", site.namespace, lambda pool: connected(pool, "CredentialsRejected")
                )
                await admin.delete(APP, "hello", site.namespace)
                await site.reaches(lambda obj: why(obj) == "DeletionBlocked")
            await admin.patch(CONFIG, "pool", site.namespace, {"spec": {"natsAddress": as_user(server, "two")}})
            if "one" in ended:
                await admin.delete(APP, "hello", site.namespace)
            await site.gone()
            assert (await site.wadm("get.hello", {}))["result"] == "notfound"


def connected(pool: Object | None, reason: str) -> Any:
    return (condition(pool, "LatticeConnected") or {}).get("reason") == reason
