"""Prometheus metrics under controller-runtime's names, so that existing dashboards and alerts work."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily

# controller-runtime's buckets for reconciles, client-go's for requests and queues (seconds).
_RECONCILE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_REQUEST = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)
_QUEUE = (1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000)


class Metrics:
    """Every metric of the machinery, on one registry of its own.

    Sources: controller-runtime `pkg/internal/controller/metrics`, client-go `util/workqueue` and `rest`. What those
    do not have is named `{prefix}_…`.
    """

    def __init__(self, prefix: str = "kube") -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.queues = QueueGauges(self.registry)
        self.reconciles = counter(
            "controller_runtime_reconcile",
            "Reconciles by controller and result: success, error, requeue_after, terminal",
            ("controller", "result"),
        )
        self.reconcile_errors = counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed", ("controller",)
        )
        self.reconcile_seconds = histogram(
            "controller_runtime_reconcile_time_seconds", "Duration of a reconcile", ("controller",), buckets=_RECONCILE
        )
        self.active_workers = gauge("controller_runtime_active_workers", "Workers that reconcile now", ("controller",))
        self.max_concurrent_reconciles = gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers there are", ("controller",)
        )
        self.queue_adds = counter("workqueue_adds", "Keys added", ("name",))
        self.queue_retries = counter("workqueue_retries", "Keys added again after a failure", ("name",))
        self.queue_wait_seconds = histogram(
            "workqueue_queue_duration_seconds", "From ready to worker", ("name",), buckets=_QUEUE
        )
        self.queue_work_seconds = histogram(
            "workqueue_work_duration_seconds", "From worker to done", ("name",), buckets=_QUEUE
        )
        self.requests = counter(
            "rest_client_requests",
            "Requests to the API server; code is `<error>` without an answer",
            ("code", "method"),
        )
        self.request_seconds = histogram(
            "rest_client_request_duration_seconds",
            "Duration of a request to the API server",
            ("method",),
            buckets=_REQUEST,
        )
        self.namespaces_left_out = gauge(
            f"{prefix}_namespaces_left_out", "Namespaces that are to be followed but cannot be read"
        )
        self.leader = gauge(
            "leader_election_master_status", "1 while this replica leads; the name is that of the lease", ("name",)
        )
        self.restarts = counter(
            f"{prefix}_task_restarts", "Supervised tasks that died and were started again", ("task",)
        )
        self.informer_live = gauge(
            f"{prefix}_informer_live", "1 while the informer's cache follows the API server", ("resource",)
        )
        self.informer_objects = gauge(f"{prefix}_informer_objects", "Objects in the informer's cache", ("resource",))
        self.informer_unreadable = gauge(
            f"{prefix}_informer_unreadable_objects",
            "Objects left out of the informer's cache because they cannot be decoded",
            ("resource",),
        )
        self.informer_events = counter(f"{prefix}_informer_events", "Changes seen", ("resource",))
        self.informer_relists = counter(f"{prefix}_informer_relists", "Full lists of a kind", ("resource",))
        self.events_dropped = counter(f"{prefix}_events_dropped", "Kubernetes Events not sent, by cause", ("cause",))
        self.handler_errors = counter(f"{prefix}_handler_errors", "Event handlers that raised", ("resource",))


class Measured(Protocol):
    """The readings of a work queue."""

    def depth(self) -> int:
        """Keys that are ready and wait."""

    def running_seconds(self) -> list[float]:
        """For each key in work: seconds since it was handed out."""


class QueueGauges:
    """Reads the gauges of all work queues at scrape time, so that keeping them costs the queues nothing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queues: dict[str, Measured] = {}
        registry.register(self)

    def watch(self, name: str, queue: Measured) -> None:
        """Show the queue under this name from now on."""
        self._queues[name] = queue

    def collect(self) -> list[GaugeMetricFamily]:
        """client-go's gauges, one sample a queue."""
        depth = GaugeMetricFamily("workqueue_depth", "Keys that are ready and wait", labels=["name"])
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds", "Seconds of work in progress, summed", labels=["name"]
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds", "The oldest work in progress, in seconds", labels=["name"]
        )
        for name, queue in self._queues.items():
            running = queue.running_seconds()
            depth.add_metric([name], queue.depth())
            unfinished.add_metric([name], sum(running))
            longest.add_metric([name], max(running, default=0.0))
        return [depth, unfinished, longest]
