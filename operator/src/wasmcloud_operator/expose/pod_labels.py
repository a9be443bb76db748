"""The reconciler of pod labels: a pod carries the label of each Service that its host serves now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.lattice_books import LatticeBook
from wasmcloud_operator.expose.leading import LeadingServices
from wasmcloud_operator.expose.listening import Listening
from wasmcloud_operator.expose.placement import (
    LabelVerdict,
    PodFacts,
    judge,
    label_patch,
    serving,
)
from wasmcloud_operator.expose.queries import ServiceQueries
from wasmcloud_operator.kube.client import MERGE_PATCH, Writer
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.difference import Difference, PathStep
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.manifest.http_endpoints import HttpProvider
from wasmcloud_operator.names import HOST_CONTAINER
from wasmcloud_operator.shared.context import POD_CODEC, pool_of
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods, HostState, PodHost

LABELS = "labels"

_LOOK_AGAIN_SECONDS = 15.0
_CONNECT_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The merge patch of a pod's labels, and of each label that it adds the provider that is to serve there."""

    patch: dict[str, str | None]
    new: Mapping[str, HttpProvider] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class PodLabeler:
    """Keeps one pod's labels. Nothing is taken away on ignorance: only what is known not to serve loses its label."""

    queries: ServiceQueries
    hosts_in_pods: HostsInPods
    client: Writer
    pods: Informer[Pod]
    clock: Clock
    paced: PacedWrites
    listening: Listening
    # What the writes under way are to leave on each pod, by uid: the watch may report one before its answer is here.
    _writing: dict[str, str] = field(default_factory=dict)

    async def reconcile(self, key: Key) -> Result:
        """Raises the errors of `kube.errors`."""
        pod = self.pods.store.get(key)
        if pod is None or pod.metadata.deleting:
            return DONE  # Kubernetes takes a pod that goes out by itself
        pool_key = pool_of(pod)
        pool = self.queries.pools.get(pool_key) if pool_key is not None else None
        if pool is None:
            return Result.waiting("the lattice of its host config")
        if not pool.lattice.hosts.synced:
            return Result.waiting(f"the hosts of lattice {pool.lattice.name}")
        found = self.hosts_in_pods.host_in(pod, pool.lattice)
        verdict = self._judge(pod, found, pool.lattice)
        silent = verdict is LabelVerdict.KEEP_FOR_NOW
        result = Result.waiting("word of the pod's host", _LOOK_AGAIN_SECONDS) if silent else DONE
        wanted = self._wanted(pod, found.host, verdict, self.queries.book(pool.lattice))
        patch = wanted.patch
        if wanted.new and self.listening.asks(pod):
            deaf = {label for label, one in wanted.new.items() if await self.listening.awaited(pod, pool.lattice, one)}
            if self._has_changed(pod, pool.lattice, wanted):
                return Result.waiting("another look, as news came while it was connected to", _CONNECT_AGAIN_SECONDS)
            if deaf:
                patch = {label: value for label, value in patch.items() if label not in deaf}
                result = Result.waiting(f"the host to listen for {', '.join(sorted(deaf))}", _CONNECT_AGAIN_SECONDS)
        return await self._write(key, pod, patch, result) if patch else result

    async def _write(self, key: Key, pod: Pod, patch: dict[str, str | None], result: Result) -> Result:
        """Returns `result`, once the patch is written."""
        body = {"metadata": {"uid": pod.metadata.uid, "labels": patch}}
        send = partial(self.client.patch, POD, key, body, MERGE_PATCH, POD_CODEC)
        where = Difference((PathStep(".metadata", "f:metadata"), PathStep(".labels", "f:labels"), *_named(patch)))
        wish = _wish(pod, patch)
        self._writing[pod.metadata.uid] = wish
        try:
            patched = await self.paced.write(WriteTarget(POD, key, LABELS), pod.metadata, wish, where, send)
            if patched is not None:
                self.pods.offer(patched)
        except (NotFound, Conflict):
            return Result.waiting("news of the pod, which is gone or another")
        finally:
            del self._writing[pod.metadata.uid]
        return result

    def is_as_written(self, pod: Pod) -> bool:
        """Whether a pod has the labels that a write under way leaves there: what was looked at for it still holds."""
        return self._writing.get(pod.metadata.uid) == _wish(pod, {})

    def _judge(self, pod: Pod, found: PodHost, lattice: Lattice) -> LabelVerdict:
        facts = PodFacts(pod.ready, pod.probed(HOST_CONTAINER), self._container_age(pod))
        return judge(
            found,
            facts,
            now=self.clock.monotonic(),
            settled=lattice.hosts.settled,
            most_silent=lambda: self._most_silent(lattice),
        )

    def _container_age(self, pod: Pod) -> float | None:
        """By the API server's clock, as the only one that is near the node's."""
        started, now = pod.running_since(HOST_CONTAINER), self.client.server_now
        return (now - started).total_seconds() if started is not None and now is not None else None

    def _most_silent(self, lattice: Lattice) -> bool:
        """Whether more than half of the lattice's ready pods have no host that is heard."""
        ready = [
            pod for pool in self.queries.pools.of(lattice) for pod in self.hosts_in_pods.pods_of(pool.key) if pod.ready
        ]
        live = sum(self.hosts_in_pods.host_in(pod, lattice).state is HostState.LIVE for pod in ready)
        return 2 * live < len(ready)

    def _wanted(self, pod: Pod, host: Host | None, verdict: LabelVerdict, book: LatticeBook) -> _Wanted:
        meta = pod.metadata
        if verdict is LabelVerdict.NONE:
            return _Wanted(label_patch(meta.labels, ()))
        if verdict is LabelVerdict.KEEP or host is None or not host.inventoried:
            return _Wanted({})
        leading = LeadingServices.now(self.queries, meta.namespace, book.lattice)
        served = serving(host, leading.to)
        patch = label_patch(meta.labels, served, lambda service: self._is_not_known(Key(meta.namespace, service), book))
        labels = {naming.serves_label(name): provider for name, provider in served.items()}
        return _Wanted(patch, {label: labels[label] for label, value in patch.items() if value is not None})

    def _has_changed(self, pod: Pod, lattice: Lattice, wanted: _Wanted) -> bool:
        """Whether by now the pod is another, or other labels are right for it: connecting takes up to a second."""
        found = self.hosts_in_pods.host_in(pod, lattice)
        now = self._wanted(pod, found.host, self._judge(pod, found, lattice), self.queries.book(lattice))
        return self.pods.store.get(pod.metadata.key) is not pod or now.patch != wanted.patch

    def _is_not_known(self, service: Key, book: LatticeBook) -> bool:
        """Whether the application of a Service could not be read, or not all of it."""
        claim = self.queries.held(*service)
        return claim is not None and not book.sure_of(claim.application)


def _wish(pod: Pod, patch: Mapping[str, str | None]) -> str:
    """Returns which of our labels the pod has after the patch."""
    kept = {key for key in pod.metadata.labels if _is_ours(key) and key not in patch}
    return " ".join(sorted(kept | {key for key, value in patch.items() if value is not None}))


def _named(patch: Mapping[str, str | None]) -> tuple[PathStep]:
    label = min(patch)
    return (PathStep(f"[{label}]", f"f:{label}"),)


def _is_ours(key: str) -> bool:
    return key.startswith(naming.SERVES_PREFIX)
