"""What host configs refer to: watched where it is needed, read by name, and followed."""

from __future__ import annotations

import json
from collections import Counter

from support.operators.in_process import USER_AGENT, RunningOperator
from support.sites.hostpools import (
    CONFIG,
    DEPLOYMENT,
    at_generation,
    at_rest,
    checksums,
    exists,
    gone,
    host_config,
    leaf_of,
    leafs,
    secret,
    shown,
)
from testbed import NatsServer, eventually
from testbed.admin import condition
from testbed.pki import Pki
from testbed.ports import free_ports
from wasmcloud_operator.lattice import connection
from wasmcloud_operator.lattice.connection_types import Timing
from wasmcloud_operator.lattice.control import ControlWriter
from wasmcloud_operator.lattice.wadm import WadmWriter

CONFIG_MAP = "v1/ConfigMap"


def config_map(namespace, data):
    metadata = {"name": "ca", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def host_of(deployment):
    (host,) = deployment["spec"]["template"]["spec"]["containers"]
    return host


def arguments(deployment):
    return host_of(deployment).get("args", [])


async def test_a_ca_that_changes_in_a_config_map_rolls_the_pods(operator, crds, admin, namespace):
    pem = crds.ca_file.read_text()
    await admin.create(config_map(namespace, {"a.crt": pem}))
    trusted = {"authorities": [{"name": "roots", "configMap": {"name": "ca"}}]}
    await admin.create(host_config(namespace, certificates=trusted))
    before = await exists(admin, DEPLOYMENT, namespace)
    assert arguments(before) == ["--tls-ca-path=/wasmcloud/certificates/roots/a.crt"]
    await at_rest(crds, namespace)
    await admin.apply(config_map(namespace, {"a.crt": pem, "b.crt": pem}))
    after = await eventually(lambda: at_generation(admin, namespace, 2))
    assert arguments(after)[-1] == "--tls-ca-path=/wasmcloud/certificates/roots/b.crt"
    assert {key for key, value in checksums(after).items() if checksums(before)[key] != value} == {
        "checksum.k8s.wasmcloud.dev/authorities"
    }
    await admin.apply(config_map(namespace, {"a.crt": pem, "b.crt": "no certificate"}))
    status = await shown(admin, namespace, Stalled="SecretContentInvalid", SecretsValid="False")
    message = ".spec.certificates.authorities[0]: ConfigMap ca: b.crt is not a PEM certificate"
    assert condition({"status": status}, "Stalled")["message"] == message
    await admin.delete(CONFIG_MAP, "ca", namespace)
    await shown(admin, namespace, Stalled="ConfigMapNotFound")
    await at_rest(crds, namespace)
    assert (await admin.get(DEPLOYMENT, "pool", namespace))["spec"] == after["spec"]


async def test_a_checksum_differs_between_two_pools_and_stays_over_restarts(crds, admin, namespace):
    login = {"auths": {"r.example": {"username": "u", "password": "p"}}}
    pull = secret(namespace, "pull", {".dockerconfigjson": json.dumps(login)}, "kubernetes.io/dockerconfigjson")
    await admin.create(pull)
    seen = []
    for _ in range(2):
        async with RunningOperator.start(crds, watch_namespaces=namespace):
            for name in ("pool", "more"):
                await admin.apply(host_config(namespace, name, registryCredentialsSecret="pull"))
            found = [await exists(admin, DEPLOYMENT, namespace, name) for name in ("pool", "more")]
            await at_rest(crds, namespace)
            seen.append([checksums(one)["checksum.k8s.wasmcloud.dev/registry"] for one in found])
            assert [(await exists(admin, DEPLOYMENT, namespace, name))["metadata"]["generation"] for name in
                    ("pool", "more")] == [1, 1]  # fmt: skip
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][1]  # or one who knows a password could look for it in another pool


async def test_operator_and_leaf_reach_a_hub_that_demands_certificates(operator, admin, namespace, tmp_path):
    pki = Pki.create(tmp_path / "pki", ["127.0.0.1"])
    files = f'cert_file: "{pki.serving_cert}", key_file: "{pki.serving_key}", ca_file: "{pki.ca_cert}"'
    tls = f"tls {{ {files}, verify: true }}"
    (leaf_port,) = free_ports(1)
    extra = f'{tls}\nleafnodes {{ listen: "127.0.0.1:{leaf_port}", {tls} }}'
    certificate, key = pki.client_certificate()
    async with NatsServer.start(tmp_path / "hub", leafnodes=False, config_extra=extra) as hub:
        spec = {"natsAddress": hub.url.replace("nats:", "tls:"), "natsLeafnodePort": leaf_port}
        ca = pki.ca_cert.read_text()
        await admin.create(secret(namespace, "hub", {"ca.crt": ca}))
        await admin.create(host_config(namespace, **spec, natsTls={"secretName": "hub"}))
        await shown(admin, namespace, LatticeConnected="False", SecretsValid="True")
        before = await exists(admin, DEPLOYMENT, namespace)
        await admin.apply(secret(namespace, "hub", {"ca.crt": ca, "tls.crt": certificate, "tls.key": key}))
        after = await eventually(lambda: at_generation(admin, namespace, before["metadata"]["generation"] + 1))
        assert checksums(after) != checksums(before)
        await shown(admin, namespace, LatticeConnected="True", SecretsValid="True")
        async with leaf_of(admin, namespace, tmp_path / "leaf", {"/nats/tls": "hub"}):
            await eventually(lambda: leafs(hub, 1))


async def test_secrets_are_watched_beside_configs_alone_and_config_maps_where_one_refers_to_any(crds, admin, namespace):
    other = f"{namespace}-other"
    await admin.create_namespace(other)
    since = crds.audit.end

    def asked(resource, *verbs):
        found = [event for event in crds.audit.events(since) if event.user_agent.startswith(USER_AGENT)]
        return [event for event in found if event.resource == resource and event.verb in verbs]

    def followed(resource):
        # Those of our own ConfigMaps have a selector.
        watches = [event for event in asked(resource, "watch") if "labelSelector" not in event.uri]
        return Counter(event.namespace for event in watches)

    try:
        for where in (namespace, other):
            await admin.create(secret(where, "keys", {"WASMCLOUD_CLUSTER_SEED": "seed"}))
        async with RunningOperator.start(crds, watch_namespaces=f"{namespace},{other}") as operator:
            assert not followed("secrets") + followed("configmaps")
            for name in ("pool", "more"):
                await admin.create(host_config(namespace, name, secretName="keys"))
                await exists(admin, DEPLOYMENT, namespace, name)
            await eventually(lambda: followed("secrets"))
            await at_rest(crds, namespace)
            assert followed("secrets").keys() == {namespace}
            assert not followed("configmaps"), "no config refers to one"
            assert {(event.namespace, event.name) for event in asked("secrets", "get")} == {(namespace, "keys")}
            await eventually(lambda: _cached(operator, 1))
            await at_rest(crds, namespace)
            read = len(asked("secrets", "get"))
            await admin.patch(CONFIG, "pool", namespace, {"spec": {"logLevel": "DEBUG"}})
            await eventually(lambda: at_generation(admin, namespace, 2))
            await admin.patch(CONFIG, "more", namespace, {"metadata": {"labels": {"look": "again"}}})
            await at_rest(crds, namespace)
            assert len(asked("secrets", "get")) - read == 1  # for the new spec; the rest is known by its version
            assert await _cached(operator, 1)
            authority = {"name": "ca", "configMap": {"name": "ca"}}
            await admin.patch(CONFIG, "more", namespace, {"spec": {"certificates": {"authorities": [authority]}}})
            await eventually(lambda: followed("configmaps"))
            assert followed("configmaps").keys() == {namespace}
            for name in ("pool", "more"):
                await admin.delete(CONFIG, name, namespace)
                await gone(admin, CONFIG, namespace, name)
            await eventually(lambda: _cached(operator, 0))
    finally:
        await admin.delete("v1/Namespace", other)


async def _cached(operator, number):
    return f'informer_objects{{resource="secrets (referenced)"}} {number}.0' in await operator.metrics()


SILENT = 8


async def test_a_hub_that_answers_nothing_holds_no_other_pool_up(crds, admin, namespace, tmp_path, monkeypatch):
    """With one worker there is nobody else to do the work of one that waits, and who waits would do so for long."""
    monkeypatch.setattr(connection, "Timing", lambda: Timing(ping_interval=600.0))
    for client in (ControlWriter, WadmWriter):
        monkeypatch.setitem(client.__init__.__kwdefaults__, "timeout", 600.0)
    async with (
        NatsServer.start(tmp_path, jetstream=False) as hub,
        RunningOperator.start(crds, watch_namespaces=namespace, workers=1),
    ):
        for number in range(SILENT):
            await admin.create(host_config(namespace, f"silent-{number}", natsAddress=hub.url, lattice=f"l{number}"))
        for number in range(SILENT):
            await shown(admin, namespace, f"silent-{number}", LatticeConnected="True")
        hub.pause()
        try:
            for number in range(SILENT):
                await admin.patch(CONFIG, f"silent-{number}", namespace, {"spec": {"logLevel": "DEBUG"}})
            await admin.create(host_config(namespace))
            await exists(admin, DEPLOYMENT, namespace)
            await shown(admin, namespace, WorkloadAvailable="False")
            await eventually(lambda: _debugs(admin, namespace, f"silent-{SILENT - 1}"))
        finally:
            hub.resume()


async def _debugs(admin, namespace, name):
    host = host_of(await admin.get(DEPLOYMENT, name, namespace))
    return {"name": "WASMCLOUD_LOG_LEVEL", "value": "DEBUG"} in host["env"]
