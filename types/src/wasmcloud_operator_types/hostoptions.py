"""What a host pool can be given besides: policy, telemetry, probes, TLS to the hub, the Service of its leaf nodes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, model_validator

from wasmcloud_operator_types._base import Model
from wasmcloud_operator_types._fields import Endpoint, ObjectName, Port, Rule, Subject, cel

_POLICY_NEEDS_TOPIC = "timeoutMs and changesTopic need topic: a host given them without it does not start"


class PolicyService(Model):
    """The lattice's policy service, which hosts ask before they run something."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            Rule("has(self.topic) || (!has(self.timeoutMs) && !has(self.changesTopic))", _POLICY_NEEDS_TOPIC)
        )
    )

    topic: Subject | None = None
    """NATS subject on which the policy service is asked."""

    timeout_ms: Annotated[StrictInt | None, Field(ge=1, le=3_600_000)] = None
    """Milliseconds to wait for its answer."""

    changes_topic: Subject | None = None
    """NATS subject on which changed decisions are announced."""

    @model_validator(mode="after")
    def _topic_is_there(self) -> Self:
        if self.topic is None and (self.timeout_ms is not None or self.changes_topic is not None):
            raise ValueError(_POLICY_NEEDS_TOPIC)
        return self


class Telemetry(Model):
    """One kind of telemetry."""

    enable: StrictBool | None = None
    """Whether the hosts send it where they do not send all three."""

    endpoint: Endpoint | None = None
    """Where to, instead of the common endpoint."""


class Observability(Model):
    """OpenTelemetry export of the hosts."""

    enable: StrictBool | None = None
    """Send all three: logs, metrics and traces, whatever their own `enable` is."""

    endpoint: Endpoint | None = None
    """OTLP endpoint for all three."""

    protocol: Literal["grpc", "http"] | None = None
    """OTLP protocol; http when left out."""

    logs: Telemetry | None = None
    """Logs, where not all three are sent or these go elsewhere."""

    metrics: Telemetry | None = None
    """Metrics, where not all three are sent or these go elsewhere."""

    traces: Telemetry | None = None
    """Traces, where not all three are sent or these go elsewhere."""


_RESERVED_PORT = "port: 4222 and 8222 are the leaf node's"


class Probes(Model):
    """Probes of the wasmcloud-host container."""

    model_config = ConfigDict(
        json_schema_extra=cel(Rule("!has(self.port) || !(self.port in [4222, 8222])", _RESERVED_PORT))
    )

    enabled: StrictBool | None = None
    """Whether /readyz and /livez are probed; from version 1.5 on when left out. Older hosts have no such endpoint."""

    port: Port | None = None
    """Port of the host's HTTP admin endpoint; 9090 when left out."""

    @model_validator(mode="after")
    def _port_is_free(self) -> Self:
        if self.port in (4222, 8222):
            raise ValueError(_RESERVED_PORT)
        return self


class NatsTls(Model):
    """TLS from the leaf node and the operator to the NATS hub."""

    secret_name: ObjectName
    """Secret with ca.crt, and with tls.crt and tls.key when the hub asks for a client certificate."""


class LeafService(Model):
    """The Service on the leaf nodes' client port."""

    enabled: StrictBool | None = None
    """Whether there is one. Without it the leaf listens on the pod's loopback only.

    When left out there is one, unless the connection to the hub carries credentials: whoever reaches the leaf acts in
    the hub's account without having them."""
