"""How the operator itself reaches a pool's lattice."""

from __future__ import annotations

from wasmcloud_operator.hostconfig.addresses import client_urls
from wasmcloud_operator.hostconfig.problems import Problem, SpecError
from wasmcloud_operator.hostconfig.secrets import Values
from wasmcloud_operator.lattice.errors import InvalidConnection, InvalidName
from wasmcloud_operator.lattice.lattices import LatticeKey
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.lattice.subjects import DEFAULT_CONTROL_PREFIX
from wasmcloud_operator_types import WasmCloudHostConfigSpec

# Where the parts of a connection come from.
_PATHS = {
    "servers": ".spec.natsAddress",
    "credentials": ".spec.secretName",
    "CA": ".spec.natsTls.secretName",
    "client certificate": ".spec.natsTls.secretName",
}


def lattice_key(spec: WasmCloudHostConfigSpec, values: Values) -> LatticeKey:
    """The lattice of a host config. Raises SpecError for an address or credentials that NATS would not take."""
    try:
        connection = ConnectionSpec(
            client_urls(spec),
            credentials=values.credentials,
            ca=values.ca,
            client_certificate=values.client_certificate,
            client_key=values.client_key,
        )
        return LatticeKey(connection, spec.lattice, spec.control_topic_prefix or DEFAULT_CONTROL_PREFIX)
    except InvalidConnection as error:
        path = _PATHS.get(error.part, "")
        raise SpecError(Problem("InvalidConnection", path, str(error))) from error
    except InvalidName as error:
        raise SpecError(Problem("InvalidName", "", str(error))) from error
