"""A whole operator on `kube/` alone: beside each ConfigMap labelled `mirror: source` it keeps a copy, `NAME-mirror`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wasmcloud_operator.base.clock import SYSTEM_CLOCK, Clock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube import health
from wasmcloud_operator.kube.apply import Applier, ManagedKind
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.controller import DONE, Controller, Result
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.lease import LEASE_CODEC, Elector
from wasmcloud_operator.kube.manager import Informers, Manager
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.resources import CONFIG_MAP, LEASE, Key
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

SUFFIX = "-mirror"
LOCK = Key("default", "mirror-operator")


def mirror_operator(reader: Reader, identity: str, *, clock: Clock = SYSTEM_CLOCK) -> Manager:
    metrics = Metrics("mirror")
    lease = Informer.on_api(
        reader,
        LEASE,
        LEASE_CODEC,
        clock=clock,
        metrics=metrics,
        namespaces=(LOCK.namespace,),
        field_selector=f"metadata.name={LOCK.name}",
    )
    unguarded = Writer(reader, field_manager="mirror", gate=AlwaysOpen())
    elector = Elector(client=unguarded, informer=lease, key=LOCK, identity=identity, clock=clock, metrics=metrics)
    informers = Informers(client=reader, scope=Scope(reader, (), clock, metrics), clock=clock, metrics=metrics)
    sources = informers.get(CONFIG_MAP, UNSTRUCTURED, purpose="sources", label_selector="mirror=source")
    copies = informers.get(CONFIG_MAP, UNSTRUCTURED, purpose="copies", label_selector="mirror=copy")
    applier = Applier(Writer(reader, field_manager="mirror", gate=elector), "example.com/fingerprint")

    async def reconcile(key: Key) -> Result:
        source = sources.store.get(key)
        if source is not None and not source.metadata.deleting:  # what is gone takes its copy with it
            owner = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "name": key.name,
                "uid": source.metadata.uid,
                "controller": True,
            }
            metadata = {"name": f"{key.name}-mirror", "namespace": key.namespace, "labels": {"mirror": "copy"}}
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "ownerReferences": [owner]}}
            body["data"] = source.body.get("data") or {}
            await applier.apply(
                ManagedKind(CONFIG_MAP, copies), body, lambda held: held.belongs_to(source.metadata.uid)
            )
        return DONE

    controller = Controller("mirror", reconcile, clock=clock, metrics=metrics)
    sources.on_change(lambda change, _: controller.queue.add(change.key))
    copies.on_change(
        lambda change, _: controller.queue.add(Key(change.key.namespace, change.key.name.removesuffix("-mirror")))
    )
    return Manager(informers, [controller], elector=elector)


async def main(kubeconfig: Path, identity: str, stop: asyncio.Event) -> None:
    metrics = Metrics("mirror")
    async with Transport.open(ConnectionOptions(credentials=Credentials(kubeconfig))) as transport:
        manager = mirror_operator(Reader(transport, metrics=metrics), identity)
        probes = health.serve("127.0.0.1:0", metrics=metrics, alive=tuple, ready=lambda: manager.problems)
        async with probes:
            await manager.run(stop)
