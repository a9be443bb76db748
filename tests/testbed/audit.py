"""Who asked the API server for what: its audit log as values, to count the requests that a program makes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})

# One event a request (metadata only): when it is answered, for a watch when it starts.
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True)
class AuditEvent:
    """One request. `resource` is "deployments.apps" or "pods", with "/status" and the like behind it."""

    verb: str
    resource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int
    time: str  # RFC 3339 with microseconds, when the request arrived
    uri: str

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES


class AuditLog:
    """The audit log of one control plane."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def end(self) -> int:
        """Where the log ends now, in bytes; the server writes an event before it sends the answer."""
        return self.path.stat().st_size if self.path.exists() else 0

    def events(self, since: int = 0, until: int | None = None) -> list[AuditEvent]:
        """The requests whose lines begin between two values of `end`.

        The server writes a line in pieces, so that `end` may be amid one. One that is not whole yet is left out.
        """
        if not self.path.exists():
            return []
        with self.path.open("rb") as log:
            if since:
                log.seek(since - 1)
                log.readline()
            data = log.read() if until is None else log.read(max(0, until - log.tell()))
            if data and not data.endswith(b"\n"):
                data += log.readline()
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        return [event for line in lines if (event := _parse(line)) is not None]

    @contextmanager
    def counting(self, *, user: str | None = None, user_agent: str | None = None) -> Iterator[RequestCounter]:
        """Counts the requests from here to the end of the block, of one user or of user agents that begin so."""
        counter = RequestCounter(self, self.end, user, user_agent)
        try:
            yield counter
        finally:
            counter.until = self.end


@dataclass
class RequestCounter:
    """The requests of a stretch of time; it can be asked while they go on."""

    log: AuditLog
    since: int
    user: str | None
    user_agent: str | None
    until: int | None = field(default=None)

    @property
    def requests(self) -> list[AuditEvent]:
        return [
            event
            for event in self.log.events(self.since, self.until)
            if (self.user is None or event.user == self.user)
            and (self.user_agent is None or event.user_agent.startswith(self.user_agent))
        ]

    @property
    def writes(self) -> list[AuditEvent]:
        return [event for event in self.requests if event.is_write]

    def by_verb_and_resource(self) -> Counter[tuple[str, str]]:
        """How many of what, for a table or a message."""
        return Counter((event.verb, event.resource) for event in self.requests)


def _parse(line: bytes) -> AuditEvent | None:
    event = json.loads(line)
    verb, stage = event["verb"], event["stage"]
    if (stage == "ResponseStarted") != (verb == "watch"):  # a long request comes twice
        return None
    ref = event.get("objectRef", {})
    group = f".{ref['apiGroup']}" if ref.get("apiGroup") else ""
    subresource = f"/{ref['subresource']}" if ref.get("subresource") else ""
    return AuditEvent(
        verb=verb,
        resource=f"{ref.get('resource', '')}{group}{subresource}",
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        user=event["user"].get("username", ""),
        user_agent=event.get("userAgent", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        time=event["requestReceivedTimestamp"],
        uri=event["requestURI"],
    )
