"""Whether Applications may be written, and what wadm has of them changed: only while their CRD is surely ours."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.base.write_gate import WriteGate


@dataclass(slots=True)
class ApplicationsGate:
    """A `WriteGate` inside the leader's. Whoever follows the CRD opens and closes it (`application.coexistence`)."""

    leader: WriteGate
    ours: bool = False

    def remaining(self) -> float:
        """As the leader's, while the CRD is ours."""
        return self.leader.remaining() if self.ours else 0.0
