"""Nothing secret leaves memory: random secrets everywhere, and then a search of everything that the operator leaves."""

from __future__ import annotations

import base64
import json
import secrets

from support.lattice.jwt import Account
from support.operators.in_process import RunningOperator
from support.sites.hostpools import CONFIG, at_rest, host_config, secret, shown
from testbed import eventually

DOCKER = "kubernetes.io/dockerconfigjson"
KINDS = (
    CONFIG, "v1/ConfigMap", "v1/Service", "v1/ServiceAccount", "apps/v1/Deployment", "apps/v1/ReplicaSet", "v1/Pod",
    "events.k8s.io/v1/Event",
)  # fmt: skip


def docker_config(registries):
    auths = {
        registry: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
        for registry, (user, password) in registries.items()
    }
    return json.dumps({"auths": auths})


async def test_no_secret_is_in_anything_that_is_written_or_said(crds, admin, namespace, capfd):
    canaries = []

    def canary():
        canaries.append(f"canary{secrets.token_hex(8)}")
        return canaries[-1]

    def creds(of):
        text = Account("A").credentials(of)
        canaries.extend(line for line in text.splitlines() if line.startswith(("SU", "eyJ")))
        return text

    async def pool(name, spec, data, type_="Opaque"):
        await admin.create(secret(namespace, name, data, type_))
        await admin.create(host_config(namespace, name, **spec))

    one, several = {"r.example": (canary(), canary())}, {f"{x}.example": (canary(), canary()) for x in "ab"}
    async with RunningOperator.start(crds, watch_namespaces=namespace) as operator:
        seed = {"WASMCLOUD_CLUSTER_SEED": canary(), "nats.creds": creds("user"), "other": canary()}
        await pool("full", {"secretName": "full", "issuers": ["C"], "version": "0.82.0"}, seed)
        registry = {"registryCredentialsSecret": "one"}
        await pool("one", registry, {".dockerconfigjson": docker_config(one)}, DOCKER)
        registry = {"registryCredentialsSecret": "several"}
        await pool("several", registry, {".dockerconfigjson": docker_config(several)}, DOCKER)
        broken = creds("broken").replace("-----BEGIN NATS USER JWT-----", "")
        await pool("broken", {"secretName": "broken"}, {"nats.creds": broken + canary()})
        not_json = docker_config(one).replace("}", "") + canary()
        await pool("bad-json", {"registryCredentialsSecret": "bad-json"}, {".dockerconfigjson": "{}"}, DOCKER)
        await admin.apply(secret(namespace, "odd", {".dockerconfigjson": not_json}))
        await admin.create(host_config(namespace, "odd", registryCredentialsSecret="odd"))
        key = f"-----BEGIN PRIVATE KEY-----\n{canary()}\n-----END PRIVATE KEY-----\n"
        tls = {"ca.crt": crds.ca_file.read_text(), "tls.crt": crds.ca_file.read_text(), "tls.key": key}
        await pool("tls", {"natsTls": {"secretName": "tls"}}, tls)
        # A password in the address is the author's own to show, but in what was written only.
        password = canary()
        await admin.create(host_config(namespace, "address", natsAddress=f"nats://user:{password}@127.0.0.1:9"))
        await admin.create(host_config(namespace, "wrong-address", natsAddress=f"http://user:{password}@h"))
        for name in ("full", "one", "several", "address"):
            await shown(admin, namespace, name, LatticeConnected="Unreachable")
        for name in ("broken", "bad-json", "odd", "tls", "wrong-address"):
            await shown(admin, namespace, name, Stalled="True")
        await admin.apply(secret(namespace, "full", {**seed, "nats.creds": creds("rotated")}))
        await admin.apply(
            secret(namespace, "one", {".dockerconfigjson": docker_config({"r.example": (canary(), canary())})}, DOCKER)
        )
        await at_rest(crds, namespace)
        await eventually(lambda: _pods(admin, namespace))
        left = {kind: await admin.list(kind, namespace) for kind in KINDS}
        left["metrics"] = await operator.metrics()
    left["log"] = capfd.readouterr()
    assert "cluster found" in str(left["log"])
    forms = {text: {text, base64.b64encode(text.encode()).decode()} for text in canaries}
    for place, what in left.items():
        text = json.dumps(what, default=str)
        for value, found_as in forms.items():
            if (value, place) != (password, CONFIG):
                assert not [form for form in found_as if form in text], f"a secret is in {place}"
    for config in left[CONFIG]:
        assert password not in json.dumps(config["status"])


async def _pods(admin, namespace):
    return len(await admin.list("v1/Pod", namespace)) >= 4
