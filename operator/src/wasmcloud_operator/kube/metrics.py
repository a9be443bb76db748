"""Prometheus metrics under controller-runtime's names, so that existing dashboards and alerts work."""

from __future__ import annotations

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
        register = self.registry
        self.queues = QueueGauges(register)
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciles by controller and result: success, error, requeue_after, terminal",
            ("controller", "result"),
            registry=register,
        )
        self.reconcile_errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed", ("controller",), registry=register
        )
        self.reconcile_seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Duration of a reconcile",
            ("controller",),
            buckets=_RECONCILE,
            registry=register,
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Workers that reconcile now", ("controller",), registry=register
        )
        self.max_concurrent_reconciles = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers there are", ("controller",), registry=register
        )
        self.queue_adds = Counter("workqueue_adds", "Keys added", ("name",), registry=register)
        self.queue_retries = Counter(
            "workqueue_retries", "Keys added again after a failure", ("name",), registry=register
        )
        self.queue_wait_seconds = Histogram(
            "workqueue_queue_duration_seconds",
            "From ready to worker",
            ("name",),
            buckets=_QUEUE,
            registry=register,
        )
        self.queue_work_seconds = Histogram(
            "workqueue_work_duration_seconds",
            "From worker to done",
            ("name",),
            buckets=_QUEUE,
            registry=register,
        )
        self.requests = Counter(
            "rest_client_requests",
            "Requests to the API server; code is `<error>` without an answer",
            ("code", "method"),
            registry=register,
        )
        self.request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Duration of a request to the API server",
            ("method",),
            buckets=_REQUEST,
            registry=register,
        )
        self.namespaces_left_out = Gauge(
            f"{prefix}_namespaces_left_out",
            "Namespaces that are to be followed but cannot be read",
            registry=register,
        )
        self.leader = Gauge(
            "leader_election_master_status", "1 while this replica holds the lease", ("name",), registry=register
        )
        self.restarts = Counter(
            f"{prefix}_task_restarts",
            "Supervised tasks that died and were started again",
            ("task",),
            registry=register,
        )
        self.informer_live = Gauge(
            f"{prefix}_informer_live",
            "1 while the informer's cache follows the API server",
            ("resource",),
            registry=register,
        )
        self.informer_objects = Gauge(
            f"{prefix}_informer_objects", "Objects in the informer's cache", ("resource",), registry=register
        )
        self.informer_unreadable = Gauge(
            f"{prefix}_informer_unreadable_objects",
            "Objects left out of the informer's cache because they cannot be decoded",
            ("resource",),
            registry=register,
        )
        self.informer_events = Counter(f"{prefix}_informer_events", "Changes seen", ("resource",), registry=register)
        self.informer_relists = Counter(
            f"{prefix}_informer_relists", "Full lists of a kind", ("resource",), registry=register
        )
        self.events_dropped = Counter(
            f"{prefix}_events_dropped", "Kubernetes Events not sent, by cause", ("cause",), registry=register
        )
        self.handler_errors = Counter(
            f"{prefix}_handler_errors", "Event handlers that raised", ("resource",), registry=register
        )


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
