"""For tests: an API server that plays a script.

`ScriptedApi` is the script: objects, their history, and the faults to come. `ScriptedTransport` plays it in memory, on
a clock that a test advances (`base.testing`); `ScriptedApiServer` plays it over HTTP on loopback. None of it replaces a
real API server: it has no schemas, no admission and no field ownership.
"""

from wasmcloud_operator.kube.testing.api import Recorded, ScriptedApi
from wasmcloud_operator.kube.testing.faults import Answer, Cut, End, ErrorEvent, Fault, Garbage, NoAnswer, Silent
from wasmcloud_operator.kube.testing.server import ScriptedApiServer
from wasmcloud_operator.kube.testing.transport import ScriptedTransport

__all__ = [
    "Answer",
    "Cut",
    "End",
    "ErrorEvent",
    "Fault",
    "Garbage",
    "NoAnswer",
    "Recorded",
    "ScriptedApi",
    "ScriptedApiServer",
    "ScriptedTransport",
    "Silent",
]
