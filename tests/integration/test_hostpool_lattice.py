"""Host pools and their lattice: live hosts, applications, connection, registries, credentials, rotation."""

from __future__ import annotations

import base64
import contextlib
import json

import nats
import pytest

from support.lattice.jwt import Account, Operator
from support.sites.hostpools import (
    CONFIG,
    DEPLOYMENT,
    at_generation,
    at_rest,
    checksums,
    decoded,
    events,
    exists,
    host_config,
    leaf_of,
    leafs,
    secret,
    shown,
    writes,
)
from testbed import NatsServer, eventually
from testbed.admin import condition
from wasmcloud_operator.lattice.testing import LatticeHost, SharedLattice

DOCKER = "kubernetes.io/dockerconfigjson"
LABEL = "host-label.k8s.wasmcloud.dev/a"


def docker_config(namespace, name, **registries):
    auths = {registry: {"username": user, "password": password} for registry, (user, password) in registries.items()}
    return secret(namespace, name, {".dockerconfigjson": json.dumps({"auths": auths})}, DOCKER)


async def pods_of(admin, namespace, count, name="pool"):
    """The pool's pods by name, when there are so many."""

    async def found():
        pods = await admin.list("v1/Pod", namespace, labels=f"app.kubernetes.io/instance={name}")
        return pods if len(pods) == count else None

    return sorted(await eventually(found), key=lambda pod: pod["metadata"]["name"])


# As a pod of another cluster.
STRANGE = {"metadata": {"name": "strange", "uid": "8d1f6c52-0000-4000-8000-000000000000"}}


async def status_of(admin, namespace, name="pool"):
    return (await admin.get(CONFIG, name, namespace))["status"]


@contextlib.asynccontextmanager
async def hosts_in(pods, server, lattice, **options):
    """A host for each pod, as the pod's own would be."""
    async with contextlib.AsyncExitStack() as stack:
        hosts = []
        for pod in pods:
            labels = {"kubernetes_pod_uid": pod["metadata"]["uid"]}
            running = LatticeHost.running(server.url, lattice, labels=labels, **options)
            hosts.append(await stack.enter_async_context(running))
        yield hosts


async def test_live_hosts_are_in_the_status_and_nothing_flaps(operator, crds, admin, nats_server, namespace):
    lattice = SharedLattice(namespace)
    for name in ("pool", "other"):
        await admin.create(host_config(namespace, name, lattice=namespace, natsAddress=nats_server.url, hostReplicas=2))
    pods, others = await pods_of(admin, namespace, 2), await pods_of(admin, namespace, 2, "other")
    await shown(admin, namespace, LatticeConnected="True")
    async with hosts_in([*pods, others[0], STRANGE], nats_server, lattice, heartbeat=0.25) as hosts:

        async def all_there():
            status = await status_of(admin, namespace)
            return status if status.get("hostCount") == 2 else None

        status = await eventually(all_there)
        assert [(host["pod"], host["id"]) for host in status["hosts"]] == [
            (pod["metadata"]["name"], host.id) for pod, host in zip(pods, hosts, strict=False)
        ]
        entry = status["hosts"][0]
        assert entry["version"] == "1.9.0"
        assert entry["friendlyName"] == hosts[0].friendly_name
        assert (entry["components"], entry["providers"]) == (0, 0)
        await hosts[0].start_provider("http")
        await eventually(lambda: _providers(admin, namespace, 1))
        await eventually(lambda: _count(admin, namespace, 1, "other"))
        since = await at_rest(crds, namespace, quiet=1.5)  # six heartbeats of each host
        assert writes(crds, since, namespace) == []
        assert (await status_of(admin, namespace))["hosts"][0]["startedAt"] == entry["startedAt"]
        await hosts[0].stop()
        await eventually(lambda: _count(admin, namespace, 1))


async def _providers(admin, namespace, number):
    return (await status_of(admin, namespace))["hosts"][0]["providers"] == number


async def _count(admin, namespace, number, name="pool"):
    return (await status_of(admin, namespace, name)).get("hostCount") == number


async def test_applications_of_the_lattice_are_in_the_status(operator, admin, wadm, nats_server, namespace):
    client = await nats.connect(nats_server.url)
    manifest = {
        "apiVersion": "core.oam.dev/v1beta1",
        "kind": "Application",
        "metadata": {"name": "hello", "annotations": {"version": "v1"}},
        "spec": {"components": [{"name": "c", "type": "component", "properties": {"image": "r.example/c:1"}}]},
    }
    put = await client.request(f"wadm.api.{namespace}.model.put", json.dumps(manifest).encode(), timeout=60)
    assert json.loads(put.data)["result"] == "created"
    await client.request(f"wadm.api.{namespace}.model.deploy.hello", b"{}", timeout=60)
    await admin.create(host_config(namespace, lattice=namespace, natsAddress=nats_server.url))
    await eventually(lambda: _apps(admin, namespace, [("hello", "v1")]))
    await client.request(f"wadm.api.{namespace}.model.del.hello", b"{}", timeout=60)
    await eventually(lambda: _apps(admin, namespace, []))
    await client.close()


async def _apps(admin, namespace, wanted):
    status = await status_of(admin, namespace)
    found = [(app["name"], app.get("version")) for app in status.get("apps", ())]
    return status.get("appCount") == len(wanted) and found == wanted


async def test_a_hub_that_goes_is_said_and_the_pods_stay_managed(operator, crds, admin, namespace, tmp_path):
    async with NatsServer.start(tmp_path, jetstream=False) as hub:
        await admin.create(host_config(namespace, natsAddress=hub.url))
        await shown(admin, namespace, LatticeConnected="True")
        await hub.kill()
        status = await shown(admin, namespace, LatticeConnected="False")
        assert str(hub.port) in condition({"status": status}, "LatticeConnected")["message"]
        await admin.patch(CONFIG, "pool", namespace, {"spec": {"logLevel": "DEBUG"}})
        await eventually(lambda: _has_env(admin, namespace, "WASMCLOUD_LOG_LEVEL", "DEBUG"))
        since = await at_rest(crds, namespace, quiet=1)
        assert writes(crds, since, namespace) == []
        await hub.server.start()
        await shown(admin, namespace, LatticeConnected="True")


async def _has_env(admin, namespace, name, value):
    (host,) = (await admin.get(DEPLOYMENT, "pool", namespace))["spec"]["template"]["spec"]["containers"]
    return {"name": name, "value": value} in host["env"]


async def test_a_single_registry_reaches_the_pods_by_an_owned_secret(operator, admin, kwok, namespace):
    await admin.create(docker_config(namespace, "pull", **{"ghcr.io": ("user", "first-password")}))
    await admin.create(host_config(namespace, registryCredentialsSecret="pull"))
    deployment = await exists(admin, DEPLOYMENT, namespace)
    assert "first-password" not in json.dumps(deployment)
    assert deployment["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    owned = await admin.get("v1/Secret", "pool-registry", namespace)
    assert decoded(owned) == {"username": "user", "password": "first-password"}
    await admin.apply(docker_config(namespace, "pull", **{"ghcr.io": ("user", "second-password")}))
    await eventually(lambda: _holds_password(admin, namespace, "second-password"))
    again = await eventually(lambda: at_generation(admin, namespace, deployment["metadata"]["generation"] + 1))
    assert checksums(again) != checksums(deployment)
    # Edited by hand, without a value that a cache could show: it is put right all the same.
    spoilt = {"data": {"password": base64.b64encode(b"spoilt").decode()}}
    await admin.patch("v1/Secret", "pool-registry", namespace, spoilt)
    await eventually(lambda: _holds_password(admin, namespace, "second-password"))
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"registryCredentialsSecret": None}})
    await admin.wait_for("v1/Secret", "pool-registry", namespace, lambda found: found is None)


async def _holds_password(admin, namespace, password):
    return decoded(await admin.get("v1/Secret", "pool-registry", namespace))["password"] == password


async def test_a_password_in_the_address_reaches_the_pods_by_an_owned_secret(operator, admin, kwok, namespace):
    await admin.create(host_config(namespace, natsAddress="nats://127.0.0.1:9"))
    await exists(admin, DEPLOYMENT, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"natsAddress": "nats://user:first-password@127.0.0.1:9"}})
    secret = await exists(admin, "v1/Secret", namespace, "pool-nats-conf")
    assert "nats-leaf://user:first-password@127.0.0.1:7422" in decoded(secret)["nats.conf"]
    deployment = await eventually(lambda: at_generation(admin, namespace, 2))
    volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes["nats-config"]["secret"]["secretName"] == "pool-nats-conf"
    assert "configMap" not in volumes["nats-config"]
    assert "data" not in await admin.get("v1/ConfigMap", "pool", namespace)
    await admin.delete("v1/Secret", "pool-nats-conf", namespace)
    await exists(admin, "v1/Secret", namespace, "pool-nats-conf")
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"natsAddress": "nats://127.0.0.1:9"}})
    await admin.wait_for("v1/Secret", "pool-nats-conf", namespace, lambda found: found is None)
    # Not before the pods do without it.
    assert "nats.conf" in (await admin.get("v1/ConfigMap", "pool", namespace))["data"]
    deployment = await admin.get(DEPLOYMENT, "pool", namespace)
    assert "pool-nats-conf" not in json.dumps(deployment["spec"])


async def test_credentials_of_several_registries_are_answered_at_start_and_sent_on_rotation(
    operator, admin, nats_server, namespace
):
    lattice = SharedLattice(namespace)
    await admin.create(docker_config(namespace, "pull", a=("ua", "pa"), b=("ub", "pb")))
    await admin.create(
        host_config(namespace, lattice=namespace, natsAddress=nats_server.url, registryCredentialsSecret="pull")
    )
    deployment = await exists(admin, DEPLOYMENT, namespace)
    assert await admin.find("v1/Secret", "pool-registry", namespace) is None
    (pod,) = await pods_of(admin, namespace, 1)
    await shown(admin, namespace, LatticeConnected="True")
    async with hosts_in([pod, STRANGE], nats_server, lattice) as (host, stranger):
        answer = await eventually(host.ask_config_service)
        assert {registry: entry["password"] for registry, entry in answer["registryCredentials"].items()} == {
            "a": "pa", "b": "pb",
        }  # fmt: skip
        with pytest.raises(TimeoutError):
            await stranger.ask_config_service(timeout=0.5)
        await admin.apply(docker_config(namespace, "pull", a=("ua", "rotated"), b=("ub", "pb")))
        await eventually(lambda: host.registries.get("a", {}).get("password") == "rotated")
    assert checksums(await admin.get(DEPLOYMENT, "pool", namespace)) == checksums(deployment)


async def test_pools_that_reach_a_lattice_in_different_ways_are_answered_each(operator, admin, nats_server, namespace):
    lattice = SharedLattice(namespace)
    addresses = {"pool": nats_server.url, "other": nats_server.url.replace("127.0.0.1", "localhost")}
    pods = []
    for name, address in addresses.items():
        await admin.create(docker_config(namespace, name, a=("u", f"of-{name}"), b=("u", "p")))
        spec = {"lattice": namespace, "natsAddress": address, "registryCredentialsSecret": name}
        await admin.create(host_config(namespace, name, **spec))
        pods += await pods_of(admin, namespace, 1, name)
        await shown(admin, namespace, name, LatticeConnected="True")
    async with hosts_in(pods, nats_server, lattice) as hosts:
        for name, host in zip(addresses, hosts, strict=True):
            await eventually(host.ask_config_service)
            # Once is all that a real host asks; and it is not by luck that this one is answered.
            for _ in range(8):
                answer = await host.ask_config_service()
                assert answer["registryCredentials"]["a"]["password"] == f"of-{name}"


async def test_a_host_that_started_while_nobody_answered_is_sent_credentials(operator, admin, nats_server, namespace):
    lattice = SharedLattice(namespace)
    await admin.create(docker_config(namespace, "pull", a=("ua", "pa"), b=("ub", "pb")))
    await admin.create(
        host_config(namespace, lattice=namespace, natsAddress=nats_server.url, registryCredentialsSecret="pull")
    )
    async with hosts_in(await pods_of(admin, namespace, 1), nats_server, lattice) as (host,):
        await eventually(lambda: set(host.registries) == {"a", "b"})


async def test_credentials_by_jwt_and_their_rotation(operator, crds, admin, namespace, tmp_path):
    """The operator and a leaf node, run from the very nats.conf that was rendered, both reach the hub."""
    account = Account("HOSTS")
    hub_config = Operator(account).server_config()
    async with NatsServer.start(tmp_path / "hub", config_extra=hub_config) as hub:
        await admin.create(secret(namespace, "keys", {"nats.creds": account.credentials("first")}))
        spec = {"natsAddress": hub.url, "natsLeafnodePort": hub.leaf_port, "secretName": "keys"}
        await admin.create(host_config(namespace, **spec))
        await shown(admin, namespace, LatticeConnected="True", SecretsValid="True")
        deployment = await exists(admin, DEPLOYMENT, namespace)
        async with leaf_of(admin, namespace, tmp_path / "first", {"/nats/creds": "keys"}):
            await eventually(lambda: leafs(hub, 1))
        since = crds.audit.end
        await admin.apply(secret(namespace, "keys", {"nats.creds": account.credentials("second")}))
        await eventually(
            lambda: [
                event
                for event in crds.audit.events(since)
                if (event.namespace, event.resource, event.verb) == (namespace, "secrets", "get")
            ]
        )
        await shown(admin, namespace, LatticeConnected="True")
        await at_rest(crds, namespace)
        # The kubelet puts the new file in place, and the leaf reads it when it connects again: no host restarts.
        assert not [event for event in writes(crds, since, namespace) if event.resource == "deployments.apps"]
        assert (await exists(admin, DEPLOYMENT, namespace))["spec"] == deployment["spec"]
        async with leaf_of(admin, namespace, tmp_path / "second", {"/nats/creds": "keys"}):
            await eventually(lambda: leafs(hub, 1))


NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("spec", "key", "good", "bad", "field"),
    [
        ({"secretName": "keys"}, "nats.creds", Account("A").credentials("user"), "no creds", ".spec.secretName"),
        ({"natsTls": {"secretName": "keys"}}, "ca.crt", None, NO_CERTIFICATE, ".spec.natsTls.secretName"),
    ],
    ids=["creds", "CA"],
)
async def test_a_secret_that_becomes_unusable_leaves_running_pods_alone(
    operator, crds, admin, namespace, spec, key, good, bad, field
):
    good = good or crds.ca_file.read_text()
    await admin.create(secret(namespace, "keys", {key: good}))
    await admin.create(host_config(namespace, **spec))
    before = await exists(admin, DEPLOYMENT, namespace)
    await admin.apply(secret(namespace, "keys", {key: bad}))
    await shown(admin, namespace, Stalled="True")
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"hostReplicas": 4}})  # looks again, and must not forget
    status = await shown(admin, namespace, Stalled="True", SecretsValid="False")
    stalled = condition({"status": status}, "Stalled")
    assert stalled["message"].startswith(f"{field}: Secret keys: {key}")
    assert (await admin.get(DEPLOYMENT, "pool", namespace))["spec"] == before["spec"]
    since = await at_rest(crds, namespace)
    assert writes(crds, since, namespace) == []
    assert len(await eventually(lambda: events(admin, namespace, stalled["reason"]))) == 1
    await admin.apply(secret(namespace, "keys", {key: good}))
    await shown(admin, namespace, Stalled="False")


async def test_a_refusal_of_the_api_server_is_reported_once_by_the_configs_own_field(operator, crds, admin, namespace):
    mount = {"name": "nowhere", "mountPath": "/x"}
    wrong = {
        "containerTemplateAdditions": {"wasmcloud": {"volumeMounts": [mount]}},
        "podTemplateAdditions": {"restartPolicy": "Never"},
    }
    await admin.create(host_config(namespace, schedulingOptions=wrong))
    await admin.create(host_config(namespace, "fine"))
    status = await shown(admin, namespace, Stalled="DeploymentRefused")
    message = condition({"status": status}, "Stalled")["message"]
    assert ".spec.schedulingOptions.containerTemplateAdditions.wasmcloud.volumeMounts[nowhere].name: " in message
    assert ".spec.schedulingOptions.podTemplateAdditions.restartPolicy: " in message
    await exists(admin, DEPLOYMENT, namespace, "fine")
    since = await at_rest(crds, namespace)
    await admin.patch(CONFIG, "pool", namespace, {"metadata": {"labels": {"look": "again"}}})
    await at_rest(crds, namespace)
    assert [event for event in writes(crds, since, namespace) if event.resource == "deployments.apps"] == []
    assert len(await eventually(lambda: events(admin, namespace, "DeploymentRefused"))) == 1
    await admin.patch(CONFIG, "pool", namespace, {"spec": {"schedulingOptions": None}})
    await exists(admin, DEPLOYMENT, namespace)
    await shown(admin, namespace, Stalled="False")


async def test_the_leafs_take_what_the_hub_takes_also_while_it_is_away(operator, crds, admin, namespace, tmp_path):
    async def conf_with(line):
        text = (await admin.get("v1/ConfigMap", "pool", namespace))["data"]["nats.conf"]
        return text if (line in text if line else "max_payload" not in text) else None

    async with NatsServer.start(tmp_path / "hub", max_payload="4MB") as hub:
        address = {"natsAddress": hub.url, "natsLeafnodePort": hub.leaf_port, "hostReplicas": 0}
        await admin.create(host_config(namespace, **address))
        await shown(admin, namespace, LatticeConnected="True")
        large = await eventually(lambda: conf_with(f"max_payload: {4 << 20}\n"))
        async with leaf_of(admin, namespace, tmp_path, {}):
            await eventually(lambda: leafs(hub, 1))
        await hub.stop()
        await shown(admin, namespace, LatticeConnected="False")
        await admin.patch(CONFIG, "pool", namespace, {"spec": {"hostLabels": {"a": "b"}}})
        await admin.wait_for(
            DEPLOYMENT, "pool", namespace, lambda found: found["spec"]["template"]["metadata"]["labels"].get(LABEL)
        )
        await at_rest(crds, namespace)
        assert await conf_with("") is None
        assert (await admin.get("v1/ConfigMap", "pool", namespace))["data"]["nats.conf"] == large
        await hub.restart("max_payload: 1MB")
        await eventually(lambda: conf_with(""))
