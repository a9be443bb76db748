"""Which pods serve which applications now: pure, from the hosts of a lattice and the pods of its pools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wasmcloud_operator.expose import naming
from wasmcloud_operator.lattice.host_types import Host

ProviderId = tuple[str, str]  # the application that wadm started it for, and its id


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
