"""What is written to an Application: its status (only our part of it) and its finalizer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from wasmcloud_operator.application import naming
from wasmcloud_operator.application.manifest import deciding_metadata, passed_metadata
from wasmcloud_operator.application.place import Place, as_annotation, first_place, place
from wasmcloud_operator.application.status import FOUND_OUT, Verdict
from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import Json, JsonObject
from wasmcloud_operator.kinds import APPLICATION
from wasmcloud_operator.kube.client import JSON_PATCH, MERGE_PATCH, PatchType, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE
from wasmcloud_operator.kube.conditions import Condition, to_status
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.difference import Difference, PathStep
from wasmcloud_operator.kube.errors import NotFound
from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta, finalizer_removal
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.lattice.content import VERSION
from wasmcloud_operator.names import FIRST_PLACE
from wasmcloud_operator.reasons import Reason

FINALIZERS = "finalizers"
_FINALIZERS_PATH = Difference((PathStep(".metadata", "f:metadata"), PathStep(".finalizers", "f:finalizers")))
PAUSED = Condition("Paused", "True", Reason.PAUSED, "nothing is written while paused")


@dataclass(frozen=True, slots=True)
class ApplicationWriter:
    """Writes to Applications, and offers the result to the cache so that no reconcile acts on what was before."""

    client: Writer
    informer: Informer[CustomResource]
    clock: Clock
    part: StatusPart[CustomResource]

    async def show(
        self, item: CustomResource, verdict: Verdict, found: JsonObject | None = None, *, at_once: bool = False
    ) -> bool:
        """Write the verdict with the fields `found`; None keeps the former ones. Returns whether it was written.

        `at_once`: also where the status was written often of late.
        """
        before = own_status(item.status)
        digest = inputs_digest(item)
        if found is None:
            first = first_place(item) if "lattice" not in before else None
            known = {**before, **(first.as_status() if first is not None else {})}
            found = {name: known[name] for name in FOUND_OUT if name in known}
        status = {
            **found,
            "observedGeneration": item.metadata.generation,
            "inputsDigest": digest,
            "phase": verdict.phase or _last_phase(before, item.metadata.generation, digest),
            "message": verdict.message,
            "conditions": self._conditions(item, before, verdict.conditions, keep=()),
        }
        return await self.part.write_and_cache(self.informer, item, before, status, at_once=at_once)

    async def show_leaving(self, item: CustomResource, leaving: JsonObject) -> bool:
        """Write only `status.leaving`. Returns whether anything was written."""
        before = own_status(item.status)
        rest = {name: value for name, value in before.items() if name != "leaving"}
        return await self.part.write_and_cache(self.informer, item, before, {**rest, **leaving})

    async def show_paused(self, item: CustomResource) -> bool:
        """Write only the condition Paused. Returns whether anything was written."""
        before = own_status(item.status)
        held = [entry["type"] for entry in before.get("conditions") or ()]
        status = {**before, "conditions": self._conditions(item, before, (PAUSED,), keep=held)}
        return await self.part.write_and_cache(self.informer, item, before, status)

    async def add_finalizer(self, item: CustomResource, first: Place) -> CustomResource:
        """Returns the item with our finalizer, or without where somebody takes it away again and again.

        With the finalizer goes the place that the Application is to be put in, unless it has one. Raises Conflict when
        it changed meanwhile.
        """
        if naming.FINALIZER in item.metadata.finalizers:
            return item
        annotations = {FIRST_PLACE: as_annotation(first, item.metadata.uid)} if place(item) is None else {}
        patch = _adding(item.metadata, naming.FINALIZER, annotations)
        target = WriteTarget(APPLICATION, item.metadata.key, FINALIZERS)
        wish = naming.FINALIZER
        send = partial(self._patch, item, patch, MERGE_PATCH)
        return await self.part.paced.write(target, item.metadata, wish, _FINALIZERS_PATH, send) or item

    async def remove_finalizer(self, item: CustomResource) -> None:
        """Remove our finalizer; harmless when the item is gone. Raises Invalid when its finalizers changed."""
        if naming.FINALIZER not in item.metadata.finalizers:
            return
        try:
            await self._patch(item, finalizer_removal(item.metadata, naming.FINALIZER), JSON_PATCH)
        except NotFound:
            self.informer.forget(item)

    async def _patch(self, item: CustomResource, patch: Json, patch_type: PatchType) -> CustomResource:
        patched = await self.client.patch(APPLICATION, item.metadata.key, patch, patch_type, CUSTOM_RESOURCE)
        if not (patched.metadata.deleting and not patched.metadata.finalizers):
            self.informer.offer(patched)
        return patched

    def _conditions(
        self,
        item: CustomResource,
        before: JsonObject,
        conditions: tuple[Condition, ...],
        keep: tuple[str, ...] | list[str],
    ) -> list[JsonObject]:
        old = before.get("conditions") or []
        written = to_status(conditions, old, item.metadata.generation, self.clock.now())
        types = {entry["type"] for entry in written}
        return [entry for entry in old if entry["type"] in keep and entry["type"] not in types] + written


def _adding(metadata: ObjectMeta, finalizer: str, annotations: Mapping[str, str]) -> JsonObject:
    """Returns the merge patch that adds both to the very version that is cached.

    Annotations are merged: there may be some that no cache keeps, such as what `kubectl apply` applied last.
    """
    finalizers = [*metadata.finalizers, finalizer]
    added = {"finalizers": finalizers, **({"annotations": {**annotations}} if annotations else {})}
    return {"metadata": {"resourceVersion": metadata.resource_version, **added}}


def own_status(status: object) -> JsonObject:
    """The part of a status that this reconciler writes."""
    if not isinstance(status, dict):
        return {}
    own = {name: value for name, value in status.items() if name not in naming.OTHERS_STATUS_FIELDS}
    if "conditions" in own:
        own["conditions"] = [entry for entry in own["conditions"] if entry["type"] not in naming.OTHERS_CONDITIONS]
    return own


def inputs_digest(item: CustomResource) -> str:
    """Digest of the annotations and labels that decide what runs and where; the generation counts the spec alone."""
    annotations, labels = item.metadata.annotations, item.metadata.labels
    steering = {key: annotations[key] for key in (VERSION, *naming.STEERING) if key in annotations}
    inputs = [deciding_metadata(passed_metadata(annotations)), steering, deciding_metadata(passed_metadata(labels))]
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def _last_phase(before: JsonObject, generation: int, digest: str) -> str:
    """The phase as it was last known; of inputs that were never looked at nothing is known."""
    known = before.get("observedGeneration") == generation and before.get("inputsDigest", digest) == digest
    return str(before["phase"]) if known and "phase" in before else "Reconciling"
