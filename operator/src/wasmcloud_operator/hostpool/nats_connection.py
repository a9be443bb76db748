"""How the operator itself reaches a pool's lattice."""

from __future__ import annotations

from wasmcloud_operator.hostpool.nats_addresses import client_urls
from wasmcloud_operator.hostpool.reference_checks import CREDENTIALS_KEY, Values
from wasmcloud_operator.lattice.errors import InvalidConnection, InvalidName
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.subjects import DEFAULT_CONTROL_PREFIX
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem, SecretsError, SpecError
from wasmcloud_operator_types import WasmCloudHostConfigSpec


def lattice_route(spec: WasmCloudHostConfigSpec, values: Values) -> LatticeRoute:
    """The route to the lattice of a host config.

    Raises SpecError for an address that NATS would not take, SecretsError for such credentials or certificates.
    """
    try:
        connection = ConnectionSpec(
            client_urls(spec),
            credentials=values.credentials,
            ca=values.ca,
            client_certificate=values.client_certificate,
            client_key=values.client_key,
        )
        return LatticeRoute(connection, spec.lattice, spec.control_topic_prefix or DEFAULT_CONTROL_PREFIX)
    except InvalidConnection as error:
        raise _invalid(spec, error) from error
    except InvalidName as error:
        raise SpecError(Problem(Reason.INVALID_NAME, "", str(error))) from error


def _invalid(spec: WasmCloudHostConfigSpec, error: InvalidConnection) -> SpecError:
    tls = spec.nats_tls.secret_name if spec.nats_tls is not None else ""
    sources = {
        "credentials": (".spec.secretName", f"Secret {spec.secret_name}: {CREDENTIALS_KEY}: {error.message}"),
        "CA": (".spec.natsTls.secretName", f"Secret {tls}: ca.crt: {error.message}"),
        "client certificate": (".spec.natsTls.secretName", f"Secret {tls}: tls.crt and tls.key: {error.message}"),
    }
    if error.part in sources:
        return SecretsError(Problem(Reason.SECRET_CONTENT_INVALID, *sources[error.part]))
    return SpecError(Problem(Reason.INVALID_NATS_ADDRESS, ".spec.natsAddress", error.message))
