"""Credentials for several registries: hosts that start are answered, hosts that run are sent them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.hostpool.inputs import registry_in_environment, uses_config_service
from wasmcloud_operator.hostpool.references import ReferenceReader
from wasmcloud_operator.kube.controller import DONE, Result
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.lattice.configservice import Labels
from wasmcloud_operator.lattice.control import RegistryCredential
from wasmcloud_operator.lattice.errors import ControlRejected, LatticeError
from wasmcloud_operator.lattice.lattice import Lattice
from wasmcloud_operator.shared.context import pool_of
from wasmcloud_operator.shared.hosts_in_pods import HostsInPods
from wasmcloud_operator.shared.pools import Pools
from wasmcloud_operator_types import POD_UID_LABEL, InvalidObjectError, WasmCloudHostConfigSpec, parse

log = structlog.get_logger()

_AGAIN_AFTER = 30.0
_REFUSED_AGAIN_AFTER = 300.0
_WINDOW = 60.0
_ANSWERS_IN_WINDOW = 12  # a container that crashes at its start asks anew each time


@dataclass(slots=True)
class _HeldCredentials:
    """What the hosts of a pool have: the hosts `up_to_date` have the credentials behind `digest`.

    `answered` counts the answers by the uids of pods whose host is not seen in the lattice yet. `credentials` are what
    was last read; they are kept, or each request that anybody sends would be a read of the Secret.
    """

    digest: str
    up_to_date: frozenset[str] = frozenset()
    answered: Counter[str] = field(default_factory=Counter)
    credentials: Mapping[str, RegistryCredential] | None = field(default=None, repr=False)


@dataclass(slots=True)
class RegistryService:
    """Keeps the hosts of pools with several registries in possession of their credentials.

    A host asks once, at its start, in its lattice's config service. After a change, and for hosts that started while
    nobody answered (or before this process did), all running hosts of the lattice get them over the control interface.
    """

    configs: Informer[CustomResource]
    reader: ReferenceReader
    pools: Pools
    hosts_in_pods: HostsInPods
    clock: Clock
    _known: dict[Key, _HeldCredentials] = field(default_factory=dict)
    _answers: dict[str, tuple[float, ...]] = field(default_factory=dict)
    """When (monotonic seconds) a pod was answered within the last minute, by its uid."""

    async def answer(self, lattice: Lattice, labels: Labels) -> Mapping[str, RegistryCredential] | None:
        """Returns the credentials for a starting host with those labels.

        None if it is in no pool of this cluster, if its pool does not use the config service, or if its pod asked
        too often: nothing proves who sent a request, so that a pool which can do without is never answered for.
        Raises the errors of `kube.errors`.
        """
        pod = self.hosts_in_pods.pod(labels.get(POD_UID_LABEL, ""))
        key = pool_of(pod) if pod is not None else None
        pool = self.pools.get(key) if key is not None else None
        spec = self._spec(key) if key is not None else None
        if pod is None or key is None or pool is None or pool.lattice is not lattice or spec is None:
            return None
        examined = await self.reader.read(key, spec)
        facts = examined.facts
        if not uses_config_service(spec, facts.registries):
            return None
        known = self._of(key, facts.registry_digest)
        known.answered[pod.metadata.uid] += 1
        if not self._may_be_answered(pod.metadata.uid):
            return None
        if known.credentials is None:
            if examined.values is None:
                examined = await self.reader.read_values(key, spec)
                known = self._of(key, examined.facts.registry_digest)
            known.credentials = examined.values.registries if examined.values is not None else {}
        log.info(
            "host asked for its registries", object=str(key), pod=pod.metadata.name, registries=len(known.credentials)
        )
        return known.credentials

    def _may_be_answered(self, uid: str) -> bool:
        since = self.clock.monotonic() - _WINDOW
        recent = {
            pod: kept for pod, times in self._answers.items() if (kept := tuple(at for at in times if at > since))
        }
        self._answers = recent
        times = recent.get(uid, ())
        if len(times) >= _ANSWERS_IN_WINDOW:
            return False
        recent[uid] = (*times, self.clock.monotonic())
        return True

    def due(self, key: Key, digest: str, lattice: Lattice) -> bool:
        """Whether a host of the pool runs without the credentials behind `digest`, as far as is known."""
        if not lattice.hosts.synced:
            return False  # the pool is looked at again when it is
        known = self._of(key, digest)
        hosts = [(pod.metadata.uid, host) for pod, host in self.hosts_in_pods.hosts_of(key, lattice)]
        # Of two requests in a pod's name one may be a stranger's: then the host gets them in any case.
        asked = {host.id for pod, host in hosts if known.answered[pod] == 1}
        for pod, _ in hosts:
            known.answered.pop(pod, None)
        known.up_to_date = (known.up_to_date | asked) & {host.id for _, host in hosts}
        return any(host.id not in known.up_to_date for _, host in hosts)

    async def send(self, key: Key) -> Result:
        """Sends the credentials to the running hosts of the pool's lattice. Raises the errors of `kube.errors`."""
        pool, spec = self.pools.get(key), self._spec(key)
        running = self.hosts_in_pods.hosts_of(key, pool.lattice) if pool is not None else ()
        hosts = frozenset(host.id for _, host in running)
        if pool is None or spec is None or not hosts:
            return Result.waiting("running hosts of the pool")
        everyone = len(pool.lattice.hosts.hosts)
        examined = await self.reader.read_values(key, spec)
        registries = examined.values.registries if examined.values is not None else {}
        if not registries or registry_in_environment(spec, examined.facts.registries):
            return DONE
        try:
            taken = await pool.lattice.control_writer.put_registries(registries)
        except ControlRejected as error:
            log.warning("hosts refuse registry credentials", object=str(key), error=str(error))
            return Result.waiting("hosts that take the credentials", _REFUSED_AGAIN_AFTER)
        except LatticeError as error:
            log.info("registry credentials not sent yet", object=str(key), error=str(error))
            return Result.waiting(f"lattice {pool.lattice.name}: {error}", _AGAIN_AFTER)
        log.info("sent registry credentials to hosts", object=str(key), registries=len(registries), hosts=taken)
        if taken < everyone:
            # Some did not get them, and nobody knows which: answers do not name their host.
            again = _AGAIN_AFTER if taken < len(hosts) else _REFUSED_AGAIN_AFTER
            return Result.waiting(f"{everyone - taken} hosts that did not answer", again)
        known = self._of(key, examined.facts.registry_digest)
        known.up_to_date |= hosts
        return DONE

    def forget(self, key: Key) -> None:
        """The config is gone, or has one registry at most."""
        self._known.pop(key, None)

    def _of(self, key: Key, digest: str) -> _HeldCredentials:
        known = self._known.get(key)
        if known is None or known.digest != digest:
            known = self._known[key] = _HeldCredentials(digest)
        return known

    def _spec(self, key: Key) -> WasmCloudHostConfigSpec | None:
        item = self.configs.store.get(key)
        try:
            return parse(WasmCloudHostConfigSpec, item.spec) if item is not None else None
        except InvalidObjectError:
            return None
