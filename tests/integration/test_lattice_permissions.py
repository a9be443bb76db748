"""The users that the threat model prints, on a real NATS server: each can do its work, and nothing of another's."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from support.operators.in_process import RunningOperator
from support.sites.hostpools import secret, shown
from support.sites.services import ServiceSite, http_components
from testbed import Admin, ControlPlane, Kwok, NatsServer, Wadm, eventually
from wasmcloud_operator.lattice.testing import LatticeHost, flushed

DOCUMENT = Path(__file__).parents[2] / "docs" / "threat-model.md"
PASSWORD = "hunter2"
LATTICE = f"team-{secrets.token_hex(3)}"
# wadm and the tests' hosts have no passwords: who connects without any is `platform`.
PLATFORM = "no_auth_user: platform"


def printed_accounts() -> str:
    """The accounts block of the document, with the lattice and password filled in."""
    (block,) = re.findall(r"^```\n(accounts \{.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return block.replace("<lattice>", LATTICE).replace("<password>", PASSWORD)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer.start(tmp_path / "nats", config_extra=f"{printed_accounts()}\n{PLATFORM}") as server:
        yield server


class User:
    """A connection of one of the printed users, and what the server refused it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused: list[str] = []
        self.client = Client()

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, hub: NatsServer, name: str) -> AsyncIterator[User]:
        user = cls(name)
        given = {"user": name, "password": PASSWORD, "inbox_prefix": b"_APP" if name == "app" else b"_INBOX"}
        await user.client.connect(hub.url, error_cb=user._on_error, **given)
        try:
            yield user
        finally:
            await user.client.close()

    async def _on_error(self, error: Exception) -> None:
        self.refused.append(str(error).lower())

    async def may_publish(self, subject: str) -> bool:
        before = self._count("publish")  # not by subject: of JetStream's the server names the one without domain
        await self.client.publish(subject, b"{}", reply="_APP.answer")
        await flushed(self.client)
        return self._count("publish") == before

    async def may_subscribe(self, subject: str) -> bool:
        before = self._count("subscription")
        subscription = await self.client.subscribe(subject)
        await flushed(self.client)
        if self._count("subscription") > before:
            return False
        await subscription.unsubscribe()
        return True

    def _count(self, what: str) -> int:
        return sum(f"permissions violation for {what} to" in words for words in self.refused)


STRANGERS = (
    f"wasmbus.cfg.{LATTICE}.req",
    f"wasmbus.ctl.v1.{LATTICE}.registry.put",
    f"wasmbus.ctl.v1.{LATTICE}.config.get.x",
    f"wadm.api.{LATTICE}.model.put",
    f"wadm.evt.{LATTICE}.manifest_published",
    f"wadm.status.{LATTICE}.x",
    "wadm.internal.x",
    "$JS.API.STREAM.LIST",
    "$JS.default.API.STREAM.LIST",
    "$JS.default.API.DIRECT.GET.KV_wadm_manifests",
    f"$KV.LATTICEDATA_{LATTICE}.COMPONENT_x",
)


async def test_an_applications_user_may_neither_act_for_the_platform_nor_hear_it(hub: NatsServer) -> None:
    async with User.of(hub, "app") as app, User.of(hub, "platform") as platform:
        published = (*STRANGERS, f"wasmbus.evt.{LATTICE}.host_heartbeat")
        assert [subject for subject in published if await app.may_publish(subject)] == []
        heard = (*STRANGERS, "_INBOX.>", "wasmbus.ctl.>", "wasmbus.cfg.*.req")
        assert [subject for subject in heard if await app.may_subscribe(subject)] == []

        everything: list[str] = []

        async def take(message: nats.aio.msg.Msg) -> None:
            everything.append(message.subject)

        for wildcard in (">", "*.>", "*.*.>"):
            await app.client.subscribe(wildcard, cb=take)
        await flushed(app.client)
        for subject in (*STRANGERS, "_INBOX.somebody", "orders.new"):
            await platform.client.publish(subject, b"hunter2")
        await eventually(lambda: everything.count("orders.new") >= 2)
        assert set(everything) - {"orders.new"} == set()


async def test_an_applications_user_may_do_all_else(hub: NatsServer) -> None:
    async with User.of(hub, "app") as app, User.of(hub, "platform") as platform:

        async def answer(message: nats.aio.msg.Msg) -> None:
            await message.respond(b"there")

        await platform.client.subscribe("orders.*", cb=answer)
        await flushed(platform.client)
        assert (await app.client.request("orders.new", b"", timeout=30)).data == b"there"
        assert app.refused == []


async def test_the_operators_user_may_do_no_more_than_its_work(hub: NatsServer) -> None:
    async with User.of(hub, "operator") as operator:
        others = ("orders.new", "wadm.api.other.model.list", "wasmbus.ctl.v1.other.host.ping", "$JS.API.STREAM.LIST")
        assert [subject for subject in others if await operator.may_publish(subject)] == []
        assert [subject for subject in (*others, ">", "wadm.>") if await operator.may_subscribe(subject)] == []


async def test_the_operator_wadm_and_hosts_do_their_work_with_these_users(
    crds: ControlPlane, kwok: Kwok, admin: Admin, hub: NatsServer, tmp_path: Path
) -> None:
    as_operator = hub.url.replace("//", f"//operator:{PASSWORD}@")
    async with (
        Wadm.start(tmp_path / "wadm", hub.url),
        RunningOperator.start(crds),
        ServiceSite.open(admin, hub, lattice=LATTICE, natsAddress=as_operator) as site,
    ):
        auths = {registry: {"username": "u", "password": f"of-{registry}"} for registry in ("a", "b")}
        docker = {".dockerconfigjson": json.dumps({"auths": auths})}
        await admin.create(secret(site.namespace, "pull", docker, "kubernetes.io/dockerconfigjson"))
        await site.add_pool("other", natsAddress=as_operator, registryCredentialsSecret="pull")
        await shown(admin, site.namespace, "other", LatticeConnected="True", SecretsValid="True")
        (pod,) = await site.pods("other")
        async with site.host_on(pod) as host:
            await _is_given_its_credentials(host)
            await site.create("hello", http_components(8080))
            await site.app("hello", lambda found: found.get("status", {}).get("phase") == "Deployed", timeout=150)
            await site.service("hello", lambda found: found is not None)
            await site.endpoints("hello", lambda found: found == {pod})
            await admin.delete("core.oam.dev/v1beta1/Application", "hello", site.namespace)
            await site.service("hello", lambda found: found is None)
    assert 'User "operator"' not in (hub.folder / "logs" / "nats-server.log").read_text()


async def _is_given_its_credentials(host: LatticeHost) -> None:
    async def answered() -> bool:
        try:
            answer = await host.ask_config_service(timeout=2)
        except (TimeoutError, nats.errors.NoRespondersError):
            return False
        return answer["registryCredentials"]["b"]["password"] == "of-b"

    await eventually(answered, message="the config service answers")
