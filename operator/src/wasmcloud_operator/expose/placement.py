"""Which pods serve which applications now: pure, from the hosts of a lattice and the pods of its pools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from wasmcloud_operator.expose import naming
from wasmcloud_operator.lattice.host_types import Host

# A host tells its age in whole seconds, and so does the API server its time: only a host that is clearly older than a
# pod of its name belongs to an earlier pod.
_OLDER = timedelta(seconds=15)

ProviderId = tuple[str, str]  # the application that wadm started it for, and its id


def host_of(created: datetime | None, candidates: Iterable[Host]) -> Host | None:
    """The host that runs in a pod, of those that name it.

    A host that is older than the pod ran in an earlier pod of that name. Of several the one that started last is alive:
    the others ended without a word, and are missed only when their heartbeats stay away.
    """
    fitting = [host for host in candidates if not _older(host, created)]
    return max(fitting, key=_start, default=None)


def runs(host: Host, provider: ProviderId) -> bool:
    """Whether a provider runs on a host, for that application."""
    application, provider_id = provider
    running = host.providers.get(provider_id)
    return running is not None and running.application == application


def serving(host: Host, services: Mapping[ProviderId, Iterable[str]]) -> frozenset[str]:
    """The Services whose provider runs on the host; `services` has their names by provider."""
    return frozenset(
        name for provider in host.providers.values() for name in services.get((provider.application, provider.id), ())
    )


def label_patch(labels: Mapping[str, str], wanted: Iterable[str], keep: Iterable[str] = ()) -> dict[str, str | None]:
    """The merge patch of a pod's labels: those missing as "true", those in excess as None; {} if there is no change.

    `keep` are Services whose labels stay as they are.
    """
    desired = {naming.serves_label(service) for service in wanted}
    kept = {naming.serves_label(service) for service in keep}
    held = {key for key in labels if key.startswith(naming.SERVES_PREFIX)}
    patch: dict[str, str | None] = dict.fromkeys(sorted(held - desired - kept))
    patch.update({key: "true" for key in sorted(desired) if labels.get(key) != "true"})
    return patch


def _older(host: Host, created: datetime | None) -> bool:
    return created is not None and host.started_at is not None and host.started_at < created - _OLDER


def _start(host: Host) -> tuple[bool, float, float, str]:
    """Orders hosts by when they started; one that only said that it did has started just now."""
    started = host.started_at.timestamp() if host.started_at is not None else 0.0
    return not host.inventoried, started, host.last_seen, host.id
