"""What silence costs: one reflector for each kind that is followed, on a real API server on which nothing happens.

    TESTBED_API_SERVER=1.29 PYTHONPATH=tests .venv/bin/python tests/bench/quiet_watch.py --minutes 60

Right is no list after the first, no deaf second, and live throughout; the exit code is 1 where it was not so. The API
server of 1.29 sends no bookmark to a quiet watch. It is no part of `make bench`, since it takes an hour to mean much.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from testbed import ControlPlane, eventually
from testbed.controlplane import APISERVER
from wasmcloud_operator.base.clock import SYSTEM_CLOCK
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator.kube.objects import Unstructured
from wasmcloud_operator.kube.reflector import Reflector
from wasmcloud_operator.kube.resources import LEASE, Resource
from wasmcloud_operator.kube.source import ApiSource
from wasmcloud_operator.kube.store import Store
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport
from wasmcloud_operator.permissions import RULES

_CRDS = Path(__file__).parents[2] / "manifests" / "crds"


@dataclass(slots=True)
class Record:
    """What one reflector went through since its first list."""

    lists: int = 0
    flaps: int = 0
    deaf_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    _deaf_since: float | None = None

    def listed(self) -> None:
        """A full list was taken in."""
        self.lists += 1

    def deaf(self) -> float:
        """Returns the seconds without a live watch, up to now."""
        return self.deaf_seconds + (time.monotonic() - self._deaf_since if self._deaf_since is not None else 0.0)

    def moved(self, *, live: bool, problem: str) -> None:
        """The reflector became live or deaf, or its problem is another."""
        now = time.monotonic()
        if live and self._deaf_since is not None:
            self.deaf_seconds += now - self._deaf_since
            self._deaf_since = None
        elif not live and self._deaf_since is None:
            self._deaf_since = now
            if self.lists:
                self.flaps += 1
                self.problems.append(problem)


def _followed() -> list[Resource]:
    return list(dict.fromkeys(rule.resource for rule in RULES if "watch" in rule.verbs))


async def _served(client: Writer, resource: Resource) -> bool:
    groups = await client.get_path("/apis")
    return not resource.group or resource.group in {group["name"] for group in groups["groups"]}


def _reflector(client: Writer, resource: Resource, record: Record) -> Reflector[Unstructured]:
    # The API server itself renews Leases in kube-system.
    namespace = "default" if resource is LEASE else ""
    reflector = Reflector(
        name=str(resource),
        source=ApiSource(client=client, resource=resource, codec=UNSTRUCTURED, namespace=namespace),
        codec=UNSTRUCTURED,
        store=Store(),
        emit=lambda changes, listed: None,
        clock=SYSTEM_CLOCK,
        namespace=namespace,
        on_relist=record.listed,
    )
    reflector.on_state = lambda: record.moved(live=reflector.state.live, problem=reflector.state.problem)
    return reflector


async def _measure(folder: Path, minutes: float) -> bool:
    async with ControlPlane.start(folder) as cluster:
        async with cluster.admin() as admin:
            await admin.apply_files(*sorted(_CRDS.glob("*.yaml")))
        options = ConnectionOptions(credentials=Credentials(kubeconfig=cluster.kubeconfig), user_agent="quiet-watch")
        async with Transport.open(options) as transport:
            metrics = Metrics()
            client = Writer(Reader(transport, metrics=metrics), field_manager="quiet-watch", gate=AlwaysOpen())
            kinds = [resource for resource in _followed() if await _served(client, resource)]
            records = {resource: Record() for resource in kinds}
            reflectors = [_reflector(client, resource, record) for resource, record in records.items()]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(reflector.run()) for reflector in reflectors]
                await eventually(lambda: all(one.synced and one.state.live for one in reflectors), timeout=60)
                opened = _watches(metrics)
                await asyncio.sleep(minutes * 60)  # the stretch that is measured
                for task in tasks:
                    task.cancel()
                result = _table(records, minutes, _watches(metrics) - opened)
                await asyncio.wait(tasks)
    return result


def _watches(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("rest_client_requests_total", {"code": "200", "method": "WATCH"}) or 0.0


def _table(records: dict[Resource, Record], minutes: float, watches: float) -> bool:
    print(f"{APISERVER}, {minutes:g} minutes, {watches:.0f} watches opened anew")
    print(f"{'kind':<50}{'lists after the first':>22}{'deaf seconds':>14}{'not live':>10}")
    for resource, record in records.items():
        print(f"{resource!s:<50}{record.lists - 1:>22}{record.deaf():>14.3f}{record.flaps:>10}")
        for problem in record.problems:
            print(f"    {problem}")
    return not any(record.lists > 1 or record.flaps for record in records.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="quiet-watch-") as folder:
        right = asyncio.run(_measure(Path(folder), minutes))
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
