"""Which pods serve which applications now: pure, from the hosts of a lattice and the pods of its pools.

Silence is ignorance: a host behind a leaf node that is cut off serves as before. What shows that a host is gone is its
own word, or Kubernetes: its pod is not ready, or its container was started after the host was last heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from wasmcloud_operator.expose import naming
from wasmcloud_operator.expose.plan import PlannedService
from wasmcloud_operator.lattice.host_types import Host
from wasmcloud_operator.manifest.http_endpoints import HttpProvider
from wasmcloud_operator.shared.hosts_in_pods import HostState, PodHost

# Ages of containers come in whole seconds, of two clocks.
_CLOCK_SECONDS = 2.0


class LabelVerdict(Enum):
    """What is done with the labels of a pod."""

    AS_REPORTED = auto()
    """The host's last inventory holds."""

    KEEP = auto()
    """Nothing is known: they stay."""

    NONE = auto()
    """It serves nothing."""

    KEEP_FOR_NOW = auto()
    """As AS_REPORTED, or KEEP, while so many are silent that the network is the likely cause: to be looked at again."""


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What Kubernetes reports of a host's pod. `container_age` is in seconds, None while no container runs."""

    ready: bool
    probed: bool
    container_age: float | None = None


def judge(found: PodHost, pod: PodFacts, *, now: float, settled: bool, most_silent: Callable[[], bool]) -> LabelVerdict:
    """What to do with a pod's labels.

    `now` is in monotonic seconds; `settled`: hosts that live were heard by now. Where Kubernetes does not probe a host,
    its silence has to count, but for the silence of most of a lattice at once.
    """
    match found.state:
        case HostState.LIVE:
            return LabelVerdict.AS_REPORTED if found.host is not None and found.host.inventoried else LabelVerdict.KEEP
        case HostState.STOPPED:
            return LabelVerdict.NONE
        case HostState.UNHEARD if not settled:
            return LabelVerdict.KEEP
    if not pod.ready or _restarted(found.host, pod, now):
        return LabelVerdict.NONE
    if pod.probed:
        return LabelVerdict.AS_REPORTED if found.host is not None and found.host.inventoried else LabelVerdict.KEEP
    return LabelVerdict.KEEP_FOR_NOW if most_silent() else LabelVerdict.NONE


def _restarted(host: Host | None, pod: PodFacts, now: float) -> bool:
    """Whether the container runs since a moment at which the host had been silent already."""
    if host is None or pod.container_age is None:
        return False
    return pod.container_age + _CLOCK_SECONDS < now - host.last_seen


ProviderId = tuple[str, str]  # the application that wadm started it for, and its id


def runs(host: Host, provider: ProviderId) -> bool:
    """Whether a provider runs on a host, for that application."""
    application, provider_id = provider
    running = host.providers.get(provider_id)
    return running is not None and running.application == application


def can_serve(host: Host, provider: HttpProvider) -> bool:
    """Whether the host runs a component that the provider may lead to. Only the builtin server needs it on its own
    host, and fails every request without it.
    """
    return not provider.local or not provider.local.isdisjoint(host.components)


def serving(host: Host, services: Callable[[ProviderId], Iterable[PlannedService]]) -> dict[str, HttpProvider]:
    """What the host runs and can serve, by the name of the Service that leads to it."""
    return {
        service.name: service.provider
        for provider in host.providers.values()
        for service in services((provider.application, provider.id))
        if can_serve(host, service.provider)
    }


def label_patch(
    labels: Mapping[str, str], wanted: Iterable[str], keep: Callable[[str], bool] = lambda _: False
) -> dict[str, str | None]:
    """The merge patch of a pod's labels: those missing as "true", those in excess as None; {} if there is no change.

    `keep` is whether the label of a Service that is not wanted stays as it is.
    """
    desired = {naming.serves_label(service) for service in wanted}
    excess = {key for key in labels if key.startswith(naming.SERVES_PREFIX)} - desired
    patch: dict[str, str | None] = {
        key: None for key in sorted(excess) if not keep(key.removeprefix(naming.SERVES_PREFIX))
    }
    patch.update({key: "true" for key in sorted(desired) if labels.get(key) != "true"})
    return patch
