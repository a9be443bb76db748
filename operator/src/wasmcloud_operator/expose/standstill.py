"""What an Application asked for last stays as it is, while nothing of it may change."""

from __future__ import annotations

from collections.abc import Collection

from wasmcloud_operator.kube.informer import Informer
from wasmcloud_operator.kube.namespaces import ALL_NAMESPACES
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.names import RESUMPTION, is_paused


def awaited(applications: Informer[CustomResource] | None, scope: Collection[str], owner: Key | None) -> str:
    """Returns what has to come before the Services of an Application may change; "" where nothing has to.

    That is the end of its pause, or the Applications of its namespace: it is in the operator's `scope`, but they are
    not known (yet). While their CRD is hidden, or not served for a moment, none must be taken for gone.
    """
    if applications is None or owner is None or not owner.namespace:
        return ""
    if not applications.synced_in(owner.namespace):
        followed = ALL_NAMESPACES in scope or owner.namespace in scope
        return f"the Applications of namespace {owner.namespace}" if followed else ""
    item = applications.store.get(owner)
    return RESUMPTION if item is not None and is_paused(item.metadata.annotations) else ""
