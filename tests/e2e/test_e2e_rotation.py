"""Rotated secrets: the pods roll once, and afterwards nothing depends on what was valid before."""

from __future__ import annotations

import json
import time

import pytest
from e2ereport import Notes
from e2etogether import together
from e2eworld import DEPLOYMENT, GREETING, POOL, World, documents, hello, names, url
from nats.aio.client import RawCredentials

from support.lattice.jwt import Account, Operator, public_key_of
from testbed import eventually, is_true
from testbed.admin import Objects

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECOND_PASSWORD = "puller:$2b$05$abcdefghijklmnopqrstuuQQ3svipWaDLu5Kgwa3hvLrUP0FshBnK"


@pytest.mark.journey("4 rotated registry password: pods roll once, pulls go on")
@together("side_by_side")
async def test_registry_password_is_rotated(world: World, place: str, notes: Notes) -> None:
    await world.install_own(place, "registry")
    own = ("registry",)
    allowed = [f"registry.{place}.svc.cluster.local:5000"]
    await world.apply_hosts(place, own=own, hostReplicas=1, allowedInsecure=allowed)
    await world.hosts_ready(place)
    before = await world.host_pods(place)

    # the registry has a new password, then the pool gets it
    await world.admin.patch("v1/Secret", "registry-users", place, {"stringData": {"htpasswd": SECOND_PASSWORD}})
    await world.cluster.kubectl("rollout", "restart", "-n", place, "deployment/registry")
    await world.cluster.kubectl("rollout", "status", "-n", place, "deployment/registry", "--timeout=180s", timeout=190)
    started = time.monotonic()
    login, _ = documents("hosts.yaml", place, own=own)
    text = login["stringData"][".dockerconfigjson"].replace("first-password", "second-password")
    await world.admin.patch("v1/Secret", "registry-login", place, {"stringData": {".dockerconfigjson": text}})
    await rolled_once(world, place, before)
    notes.add(f"rolled after {time.monotonic() - started:.1f} s")

    # only the new password opens the registry now
    await world.admin.apply(hello(place, own=own))
    await world.application_ready(place)
    assert await world.answers(url(place, "/new")) == GREETING


@pytest.mark.journey("4 rotated NATS creds: no pod rolls, the former user is revoked")
@together("side_by_side")
async def test_nats_creds_are_rotated(world: World, place: str, notes: Notes) -> None:
    # a hub that lets nobody in without creds, and a wadm with creds of its own
    account = Account("wasmcloud")
    root = Operator(account)
    await world.install_own(place, "nats", lambda nats: require_creds(nats, root))
    await world.admin.apply(secret(place, "wadm-creds", account.credentials("wadm")))
    await world.install_own(place, "wadm", use_creds)

    first, second = account.credentials("first"), account.credentials("second")
    await world.admin.apply(secret(place, "hosts-creds", first))
    await world.apply_hosts(place, own=("nats-cluster",), hostReplicas=1, secretName="hosts-creds")
    await world.hosts_ready(place)
    await world.admin.apply(hello(place))
    await world.application_ready(place)
    assert await world.answers(url(place)) == GREETING
    before = names(await world.host_pods(place))
    await world.admin.patch("v1/Secret", "hosts-creds", place, {"stringData": {"nats.creds": second}})

    # the hub throws the former user out, and everything goes on: hosts, wadm, and the operator's own connection
    started = time.monotonic()
    await revoke(world, place, root, account, public_key_of(first))
    assert await world.answers(url(place, "/new")) == GREETING
    # a leaf reads the file of its creds when it connects anew; the kubelet renews the file within two minutes
    await eventually(lambda: host_answers(world, place, second), timeout=400, interval=1)
    notes.add(f"back in the lattice {time.monotonic() - started:.1f} s after the revocation")
    await eventually(lambda: world.live_hosts(place, 1), timeout=180, interval=0.5)
    assert names(await world.host_pods(place)) == before
    await world.cluster.kubectl("delete", "-n", place, "app/hello-python", "--timeout=180s")
    pool = await world.hosts_ready(place)
    assert is_true(pool, "LatticeConnected")


async def host_answers(world: World, lattice: str, creds: str) -> bool:
    """Whether a host of the lattice answers through the hub."""
    async with world.nats(lattice, user_credentials=RawCredentials(creds)) as client:
        answer = await client.request(f"wasmbus.ctl.v1.{lattice}.host.ping", b"", timeout=20)
    return bool(answer.data)


def require_creds(nats: Objects, root: Operator) -> None:
    """The hub knows its accounts by JWT, which can be changed over NATS."""
    nats[0]["data"]["nats.conf"] += root.server_config(folder="/data/jwt")


def use_creds(wadm: Objects) -> None:
    pod = wadm[0]["spec"]["template"]["spec"]
    pod["containers"][0]["env"].append({"name": "WADM_NATS_CREDS_FILE", "value": "/creds/nats.creds"})
    pod["containers"][0]["volumeMounts"] = [{"name": "creds", "mountPath": "/creds"}]
    pod["volumes"] = [{"name": "creds", "secret": {"secretName": "wadm-creds"}}]


async def rolled_once(world: World, place: str, before: Objects) -> None:
    await eventually(lambda: replaced(world, place, before), timeout=300, interval=0.5)
    await world.hosts_ready(place)
    deployment = await world.admin.get(DEPLOYMENT, POOL, place)
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    await world.verdicts[place].end(POOL, "Current")
    assert world.verdicts[place].went_well(POOL, changes=1)


async def replaced(world: World, namespace: str, before: Objects) -> bool:
    """Whether none of the pods of before is there any more."""
    now = names(await world.host_pods(namespace))
    return bool(now) and not now & names(before)


def secret(namespace: str, name: str, creds: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"nats.creds": creds}}


async def revoke(world: World, place: str, root: Operator, account: Account, user: str) -> None:
    """What `nsc revocations add-user` and `nsc push` do."""
    account.revoke(user)
    async with world.nats(place, user_credentials=RawCredentials(root.system.credentials("admin"))) as client:
        answer = await client.request("$SYS.REQ.CLAIMS.UPDATE", root.jwt_of(account).encode(), timeout=60)
    reply = json.loads(answer.data)
    assert reply.get("data", {}).get("code") == 200, f"the hub has not taken the revocation: {reply}"
