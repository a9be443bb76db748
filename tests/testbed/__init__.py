"""The real components that tests, benches and `make cluster` run against, built from source into a cache.

`python -m testbed --help` (with `tests` on PYTHONPATH) is the same for a shell.
"""

from testbed.admin import Admin, ApiError, condition, is_true
from testbed.audit import AuditEvent, AuditLog, RequestCounter
from testbed.controlplane import ControlPlane
from testbed.host import WasmcloudHost
from testbed.kwok import Kwok
from testbed.natsserver import NatsServer
from testbed.process import ComponentFailed, Server
from testbed.users import User
from testbed.wadm import Wadm
from testbed.waiting import NeverHappened, eventually
from testbed.wasm import build_component

__all__ = [
    "Admin",
    "ApiError",
    "AuditEvent",
    "AuditLog",
    "ComponentFailed",
    "ControlPlane",
    "Kwok",
    "NatsServer",
    "NeverHappened",
    "RequestCounter",
    "Server",
    "User",
    "Wadm",
    "WasmcloudHost",
    "build_component",
    "condition",
    "eventually",
    "is_true",
]
