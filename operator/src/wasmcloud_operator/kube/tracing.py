"""OpenTelemetry traces: a span a reconcile and, in it, one a request; sent where the environment names a collector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

# A collector that is away must not hold up the end of the process for longer.
_SEND_SECONDS = 2

# Opens a span of this name with these attributes.
Span = Callable[[str, dict[str, str]], AbstractContextManager[object]]


def no_span(_name: str, _attributes: dict[str, str]) -> AbstractContextManager[object]:
    """Traces nothing."""
    return nullcontext()


@contextmanager
def tracing(service: str, version: str) -> Iterator[Span]:
    """The way to open spans while the scope is open; what was recorded is sent when it closes.

    On when `OTEL_EXPORTER_OTLP_ENDPOINT` is set and the `tracing` extra is installed; the other standard
    `OTEL_*` variables count too. Sending happens in a thread and never holds up a reconcile.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        yield no_span
        return
    try:
        # Imported late: 15 MB that an operator without a collector does not need.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        import structlog  # noqa: PLC0415 - as for transports: commands import this module too

        structlog.get_logger().warning("no traces: install wasmcloud-operator[tracing]")
        yield no_span
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_SEND_SECONDS)))
    tracer = provider.get_tracer(service)
    try:
        yield lambda name, attributes: tracer.start_as_current_span(name, attributes=attributes)
    finally:
        provider.shutdown()
