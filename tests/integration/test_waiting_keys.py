"""What each key waits for, as /debug/keys of a live operator shows it."""

from __future__ import annotations

from support.operators.in_process import RunningOperator
from support.sites.applications import application
from support.sites.hostpools import NOWHERE, host_config
from testbed import eventually
from wasmcloud_operator.application import naming

PAUSED = {"k8s.wasmcloud.dev/paused": "true"}
PAUSE = "the end of the pause (annotation k8s.wasmcloud.dev/paused)"


async def test_each_key_shows_what_it_waits_for(crds, admin, namespace):
    poolless = {naming.LATTICE: "elsewhere"}
    silent = {naming.LATTICE: "silent"}
    for body in (
        host_config(namespace, "keyless", lattice="keyless", secretName="keys"),
        host_config(namespace, "silent", lattice="silent", natsAddress=NOWHERE),
        paused(host_config(namespace, "resting")),
        application(namespace, "poolless", poolless),
        application(namespace, "resting", PAUSED),
        {**(wrong := application(namespace, "wrong", silent)), "spec": {"components": wrong["spec"]["components"] * 2}},
        application(namespace, "patient", silent),
    ):
        await admin.create(body)
    awaited = {
        "wasmcloudhostconfig": {
            "keyless": "Secrets that can be used: .spec.secretName: ",
            "resting": PAUSE,
        },
        "application": {
            "poolless": "a lattice: ",
            "resting": PAUSE,
            "wrong": "another manifest: ",
            "patient": "lattice silent: ",
        },
        "exposed": {"resting": PAUSE, "patient": "what is deployed in the lattices of its namespace"},
    }
    async with RunningOperator.start(crds, watch_namespaces=namespace) as operator:
        for controller, keys in awaited.items():
            for name, words in keys.items():
                await eventually(
                    lambda c=controller, n=name, w=words: waits_for(operator, c, f"{namespace}/{n}", w),
                    message=f"{controller} {name}: {words}",
                )


def paused(body):
    return {**body, "metadata": {**body["metadata"], "annotations": PAUSED}}


async def waits_for(operator: RunningOperator, controller: str, key: str, words: str) -> bool:
    shown = (await operator.debug())["controllers"][controller]["keys"].get(key, {})
    return shown.get("waitsFor", "").startswith(words)
