"""Metrics of the objects themselves, read from the caches at scrape time: what their statuses hold, so that an alert
and `kubectl get` never disagree.

Cardinality: a few series for each host config; applications and Services are counted by lattice and phase, never named.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object, as_objects
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.store import Store
from wasmcloud_operator.shared.pools import Pool

_PREFIX = "wasmcloud_operator"
_PHASES = ("Deployed", "Reconciling", "Failed", "Undeployed")
# A phase that was not written yet, or by a newer operator.
_OTHER_PHASE = "Unknown"
_VALUE = {"True": 1.0, "False": 0.0}


@dataclass(frozen=True, slots=True)
class ObjectMetrics:
    """Collects the metrics of host configs and applications; each replica has them, since each has the caches."""

    host_configs: Store[CustomResource]
    applications: Store[CustomResource] | None = None
    pools: Callable[[], Iterable[Pool]] = tuple

    def collect(self) -> Iterator[Metric]:
        """Yields the families, as prometheus_client's registry calls for them."""
        yield from _pools(self.host_configs)
        if self.applications is not None:
            yield from _applications(self.applications)
        yield _expiries(self.pools())


class BuildInfo:
    """Collects `wasmcloud_operator_build_info`: the operator's version and Python's."""

    def __init__(self, version: str) -> None:
        self._info = {"version": version, "python": platform.python_version()}

    def collect(self) -> Iterator[Metric]:
        """Yields its only family."""
        yield InfoMetricFamily(f"{_PREFIX}_build", "The operator's version and its Python", value=self._info)


def register_process(registry: CollectorRegistry, version: str) -> None:
    """Adds the build's and the process's own metrics: memory, descriptors, CPU seconds, garbage collections."""
    # Without it each counter has a second series, which nobody reads.
    disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no annotation there
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(BuildInfo(version))


def _pools(pools: Iterable[CustomResource]) -> Iterator[Metric]:
    hosts = GaugeMetricFamily(
        f"{_PREFIX}_pool_hosts",
        "Hosts of a host config: desired, ready (pods) and in the lattice",
        labels=("namespace", "name", "lattice", "state"),
    )
    conditions = GaugeMetricFamily(
        f"{_PREFIX}_pool_condition",
        "Conditions of a host config: 1 True, 0 False; absent while unknown",
        labels=("namespace", "name", "lattice", "condition"),
    )
    since = GaugeMetricFamily(
        f"{_PREFIX}_pool_condition_since_timestamp_seconds",
        "When a condition of a host config took its present state, in seconds since the epoch",
        labels=("namespace", "name", "lattice", "condition"),
    )
    versions: Counter[tuple[str, str]] = Counter()
    for pool in pools:
        spec, status = as_object(pool.spec), as_object(pool.status)
        lattice = str(spec.get("lattice", ""))
        labels = [pool.metadata.namespace, pool.metadata.name, lattice]
        for state, value in _host_counts(spec, status):
            hosts.add_metric([*labels, state], value)
        for condition in as_objects(status.get("conditions")):
            name = str(condition.get("type", ""))
            holds = _VALUE.get(str(condition.get("status")))
            if holds is not None:
                conditions.add_metric([*labels, name], holds)
            if (moment := _timestamp(condition.get("lastTransitionTime"))) is not None:
                since.add_metric([*labels, name], moment)
        versions.update((lattice, str(host.get("version", ""))) for host in as_objects(status.get("hosts")))
    yield from (hosts, conditions, since)
    by_version = GaugeMetricFamily(
        f"{_PREFIX}_hosts", "Hosts by version, as listed in the host configs' statuses", labels=("lattice", "version")
    )
    for (lattice, version), count in versions.items():
        by_version.add_metric([lattice, version], count)
    yield by_version


def _host_counts(spec: JsonObject, status: JsonObject) -> Iterator[tuple[str, float]]:
    """Yields state and count; a DaemonSet's desired number is its pods', which Kubernetes sets by nodes."""
    scheduling = as_object(spec.get("schedulingOptions"))
    daemonset = bool(spec.get("daemonset") or scheduling.get("daemonset"))
    counts = {
        "desired": status.get("replicas") if daemonset else spec.get("hostReplicas", 1),
        "ready": status.get("readyReplicas"),
        "in_lattice": status.get("hostCount"),
    }
    return ((state, float(value)) for state, value in counts.items() if _is_count(value))


def _expiries(pools: Iterable[Pool]) -> Metric:
    family = GaugeMetricFamily(
        f"{_PREFIX}_credentials_expiry_timestamp_seconds",
        "When the NATS credentials of a host config end, in seconds since the epoch; absent for those that do not",
        labels=("namespace", "name", "lattice"),
    )
    for pool in pools:
        if pool.route.spec.expires is not None:
            family.add_metric([pool.key.namespace, pool.key.name, pool.lattice.name], pool.route.spec.expires)
    return family


def _applications(applications: Iterable[CustomResource]) -> Iterator[Metric]:
    phases: Counter[tuple[str, str]] = Counter()
    services: Counter[str] = Counter()
    endpoints: Counter[str] = Counter()
    for application in applications:
        status = as_object(application.status)
        lattice, phase = str(status.get("lattice", "")), status.get("phase")
        phases[lattice, phase if phase in _PHASES else _OTHER_PHASE] += 1
        for service in as_objects(status.get("services")):
            ready = service.get("readyEndpoints")
            services[lattice] += 1
            endpoints[lattice] += ready if _is_count(ready) else 0
    by_phase = GaugeMetricFamily(
        f"{_PREFIX}_applications", "Applications by lattice and phase", labels=("lattice", "phase")
    )
    for (lattice, phase), count in phases.items():
        by_phase.add_metric([lattice, phase], count)
    yield by_phase
    yield _by_lattice("application_services", "Services of applications", services)
    yield _by_lattice("application_service_endpoints_ready", "Pods that serve behind those Services", endpoints)


def _by_lattice(name: str, documentation: str, counts: Counter[str]) -> Metric:
    family = GaugeMetricFamily(f"{_PREFIX}_{name}", documentation, labels=("lattice",))
    for lattice, count in counts.items():
        family.add_metric([lattice], count)
    return family


def _timestamp(value: Json) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except (ValueError, OverflowError, OSError):  # the last two: a year that the platform cannot count from
        return None


def _is_count(value: Json) -> TypeGuard[int]:
    """Whether a gauge can hold it: one number that no float can hold would cost every metric."""
    return isinstance(value, int) and abs(value) < 2**63
