"""Warnings: what in a spec has no effect, or not the effect that its author may expect."""

from __future__ import annotations

from collections.abc import Iterator

from wasmcloud_operator.hostpool.inputs import own_variable
from wasmcloud_operator.hostpool.versions import Feature, since, understands
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem
from wasmcloud_operator_types import WasmCloudHostConfigSpec


def spec_warnings(spec: WasmCloudHostConfigSpec) -> Iterator[Problem]:
    """The warnings, in the order of the fields."""
    fields = {
        ".spec.secretsTopicPrefix": (spec.secrets_topic_prefix, Feature.SECRETS_TOPIC),
        ".spec.maxLinearMemoryBytes": (spec.max_linear_memory_bytes, Feature.MAX_LINEAR_MEMORY),
        ".spec.observability": (_enabled(spec), Feature.OBSERVABILITY),
        ".spec.observability.protocol": (
            _enabled(spec) and spec.observability and spec.observability.protocol,
            Feature.OBSERVABILITY_PROTOCOL,
        ),
        ".spec.certificates.authorities": (spec.certificates and spec.certificates.authorities, Feature.AUTHORITIES),
    }
    for path, (wanted, feature) in fields.items():
        if wanted and not understands(spec.version, feature):
            yield Problem(
                Reason.HOST_TOO_OLD,
                path,
                f"has no effect: hosts take it from version {since(feature)} on, not {spec.version}",
            )
    if _enabled(spec) and understands(spec.version, Feature.OBSERVABILITY):
        yield from _endpoints(spec)


def _enabled(spec: WasmCloudHostConfigSpec) -> bool:
    wanted = spec.observability
    signals = (wanted.logs, wanted.metrics, wanted.traces) if wanted is not None else ()
    return bool(wanted and (wanted.enable or any(signal and signal.enable for signal in signals)))


def _endpoints(spec: WasmCloudHostConfigSpec) -> Iterator[Problem]:
    """Telemetry that goes nowhere: without an endpoint a host sends to itself, and 1.5 does not start."""
    wanted = spec.observability
    if wanted is None or wanted.endpoint or own_variable(spec, "OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    for name, signal in (("logs", wanted.logs), ("metrics", wanted.metrics), ("traces", wanted.traces)):
        on = wanted.enable or (signal is not None and signal.enable)
        if (
            on
            and not (signal is not None and signal.endpoint)
            and not own_variable(spec, f"OTEL_EXPORTER_OTLP_{name.upper()}_ENDPOINT")
        ):
            yield Problem(
                Reason.NO_ENDPOINT,
                ".spec.observability.endpoint",
                f"is missing: hosts send {name} to their own pod, where nobody listens, and hosts of 1.5 do not start",
            )
            return
