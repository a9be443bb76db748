"""The reconciler of pod labels: a pod carries the label of each Service that its host serves now."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.directory import LatticeBook
from wasmcloud_operator.expose.placement import ProviderId, label_patch, serving
from wasmcloud_operator.expose.plan import Claim
from wasmcloud_operator.expose.view import View
from wasmcloud_operator.kube.client import MERGE_PATCH, Client
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.errors import Conflict, NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import Pod
from wasmcloud_operator.kube.resources import POD, Key
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods, HostState, pool_of

_POD: Codec[Pod] = Codec.of(Pod)


@dataclass(frozen=True, slots=True)
class PodLabeler:
    """Keeps one pod's labels. Nothing is taken away on ignorance: only what is known not to serve loses its label."""

    view: View
    hosts_in_pods: HostsInPods
    client: Client
    pods: Informer[Pod]

    async def reconcile(self, key: Key) -> Result:
        """Raises the errors of `kube.errors`."""
        pod = self.pods.store.get(key)
        if pod is None or pod.metadata.deleting:
            return DONE  # Kubernetes takes a pod that goes out by itself
        patch = self._patch(pod)
        if not patch:
            return DONE
        body = {"metadata": {"uid": pod.metadata.uid, "labels": patch}}
        try:
            self.pods.offer(await self.client.patch(POD, key, body, MERGE_PATCH, _POD))
        except (NotFound, Conflict):
            return DONE  # gone, or another pod has the name: the watch tells
        return DONE

    def _patch(self, pod: Pod) -> dict[str, str | None]:
        meta = pod.metadata
        key = pool_of(pod)
        pool = self.view.pools.get(key) if key is not None else None
        if pool is None or not pool.lattice.hosts.synced:
            return {}
        book = self.view.book(pool.lattice)
        found = self.hosts_in_pods.host_in(pod, pool.lattice)
        host = found.host
        if host is None or found.state is not HostState.LIVE:
            if found.state is HostState.UNHEARD and not pool.lattice.hosts.settled:
                return {}
            return label_patch(meta.labels, ())
        if not host.inventoried:
            return {}
        wanted = serving(host, self._services(meta.namespace, host, book))
        return label_patch(meta.labels, wanted, self._not_known(pod, book))

    def _services(self, namespace: str, host: Host, book: LatticeBook) -> dict[ProviderId, list[str]]:
        """The names of the Services by provider, as far as they are there and lead to that application."""
        found: dict[ProviderId, list[str]] = defaultdict(list)
        here = book.lattice.identity.id
        for provider in host.providers.values():
            provider_id = (provider.application, provider.id)
            for application in book.by_provider.get(provider_id, ()):
                claim = Claim(application, here)
                for planned in self.view.plan(book.lattice, book.records[application]).services:
                    served = (planned.provider.application, planned.provider.id) == provider_id
                    if served and self.view.leads_to(namespace, planned.name, claim):
                        found[provider_id].append(planned.name)
        return found

    def _not_known(self, pod: Pod, book: LatticeBook) -> list[str]:
        """The Services on the pod whose application could not be read, or not all of it."""
        held = [key.removeprefix(naming.SERVES_PREFIX) for key in pod.metadata.labels if _is_ours(key)]
        kept = []
        for service in held:
            claim = self.view.held(pod.metadata.namespace, service)
            if claim is not None and not book.sure_of(claim.application):
                kept.append(service)
        return kept


def _is_ours(key: str) -> bool:
    return key.startswith(naming.SERVES_PREFIX)
