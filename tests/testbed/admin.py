"""A small JSON client of the Kubernetes API, so that tests never judge the operator by the operator's own client.

Kinds are named "group/version/Kind": "v1/Pod", "apps/v1/Deployment". What is namespaced, and the name in the path, come
from the server's discovery. Outside `async with` each call has a connection of its own, so one client serves several
event loops; inside it the connections are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import yaml

from testbed.waiting import NeverHappened, eventually

Object = dict[str, Any]  # a Kubernetes object as JSON: test code reads whatever is in it
Objects = list[Object]

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class ApiError(Exception):
    """An answer that is not 2xx; `status` is its HTTP status, `reason` the API's word for it."""

    def __init__(self, status: int, method: str, path: str, body: str) -> None:
        self.status = status
        self.body = body
        with contextlib.suppress(ValueError, AttributeError):
            answer = json.loads(body)
            self.reason = str(answer.get("reason", ""))
            body = answer.get("message", body)
        super().__init__(f"{method} {path}: {status}: {body}")

    reason: str = ""


@dataclass(frozen=True)
class _Resource:
    prefix: str  # /api/v1 or /apis/<group>/<version>
    plural: str
    namespaced: bool


_PASSING = frozenset({410, 429})  # a watch that is too old; an API server that has enough to do


class Admin:
    """The client; which rights it has depends on its token."""

    def __init__(self, url: str, token: str, ca_file: Path, *, timeout: float = 60.0) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "testbed-admin"}
        self._tls = ssl.create_default_context(cafile=str(ca_file))
        self._timeout = timeout  # seconds a call may take
        self._resources: dict[str, _Resource] = {}
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the session's

    async def __aenter__(self) -> Self:
        self._session, self._loop = self._new_session(), asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()
            self._session = None

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=64)
        return aiohttp.ClientSession(self.url, headers=self._headers, connector=connector)

    @contextlib.asynccontextmanager
    async def _use_session(self) -> AsyncIterator[aiohttp.ClientSession]:
        if self._session and self._loop is asyncio.get_running_loop():
            yield self._session
        else:
            async with self._new_session() as session:
                yield session

    # --- requests -----------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        params: dict[str, str] | None = None,
    ) -> Any:
        """The JSON answer to any request (text when it is no JSON). Raises `ApiError`, TimeoutError."""
        data = None if body is None else json.dumps(body, ensure_ascii=False)  # YAML knows no surrogates
        headers = {"Accept": accept} | ({"Content-Type": content_type} if data is not None else {})
        async with (
            asyncio.timeout(self._timeout),
            self._use_session() as session,
            session.request(method, path, data=data, headers=headers, params=params) as answer,
        ):
            text = await answer.text()
            if answer.status >= 300:
                raise ApiError(answer.status, method, path, text)
            return json.loads(text) if answer.content_type == "application/json" else text

    async def path(self, kind: str, namespace: str | None = None, name: str | None = None) -> str:
        """Where a kind is served; a namespace is ignored for cluster-scoped kinds."""
        resource = await self._resource(kind)
        parts = [resource.prefix]
        if namespace and resource.namespaced:
            parts.append(f"namespaces/{namespace}")
        parts.append(resource.plural)
        if name:
            parts.append(name)
        return "/".join(parts)

    async def _resource(self, kind: str) -> _Resource:
        if kind not in self._resources:
            version, _, kind_name = kind.rpartition("/")
            prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
            for entry in (await self.request("GET", prefix))["resources"]:
                if "/" not in entry["name"]:
                    found = _Resource(prefix, entry["name"], entry["namespaced"])
                    self._resources[f"{version}/{entry['kind']}"] = found
            if kind not in self._resources:
                raise LookupError(f"the server has no {kind_name} in {version}")
        return self._resources[kind]

    # --- objects ------------------------------------------------------------------------------------------------------

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        """One object. Raises `ApiError` (404 when it is not there)."""
        return await self.request("GET", await self.path(kind, namespace, name))

    async def find(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None when it is not there."""
        try:
            return await self.get(kind, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> Objects:
        """The objects of a namespace, or of all; `labels` and `fields` are selectors."""
        params = {key: value for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value}
        answer = await self.request("GET", await self.path(kind, namespace), params=params)
        return answer["items"]

    async def create(self, obj: Object, namespace: str | None = None) -> Object:
        """POST; the object's own namespace counts when none is given."""
        namespace = namespace or obj.get("metadata", {}).get("namespace")
        return await self.request("POST", await self.path(_kind(obj), namespace), obj)

    async def replace(self, obj: Object, *, subresource: str = "") -> Object:
        """PUT; with `metadata.resourceVersion` only over that version."""
        return await self.request("PUT", await self._path_of(obj, subresource), obj)

    async def apply(
        self,
        obj: Object,
        namespace: str | None = None,
        *,
        manager: str = "testbed",
        force: bool = True,
        subresource: str = "",
    ) -> Object:
        """Server-side apply."""
        params = {"fieldManager": manager, "force": str(force).lower()}
        path = await self._path_of(obj, subresource, namespace)
        return await self.request("PATCH", path, obj, content_type=_PATCH_TYPES["apply"], params=params)

    async def apply_files(self, *paths: Path, namespace: str | None = None) -> Objects:
        """Server-side apply of every document of YAML files; CRDs among them are served when this returns."""
        objects = [doc for path in paths for doc in yaml.safe_load_all(path.read_text()) if doc]
        applied = [await self.apply(obj, namespace) for obj in objects]
        for obj in applied:
            if obj["kind"] == "CustomResourceDefinition":
                await self.wait_for(_kind(obj), obj["metadata"]["name"], None, _established)
                for version in obj["spec"]["versions"]:
                    kind = f"{obj['spec']['group']}/{version['name']}/{obj['spec']['names']['kind']}"
                    await eventually(functools.partial(self._resource, kind), message=f"discovery of {kind}")
        return applied

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        patch: object,
        *,
        how: str = "merge",
        subresource: str = "",
        manager: str = "testbed",
    ) -> Object:
        """PATCH; `how` is merge, json or strategic."""
        path = await self.path(kind, namespace, f"{name}/{subresource}" if subresource else name)
        return await self.request(
            "PATCH", path, patch, content_type=_PATCH_TYPES[how], params={"fieldManager": manager}
        )

    async def scale(self, kind: str, name: str, namespace: str, replicas: int) -> None:
        """What `kubectl scale` does."""
        await self.patch(kind, name, namespace, {"spec": {"replicas": replicas}}, subresource="scale")

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: str = "Background",
        grace: int | None = None,
    ) -> None:
        """DELETE; not being there is fine. `grace` is seconds."""
        params = {"propagationPolicy": propagation} | ({} if grace is None else {"gracePeriodSeconds": str(grace)})
        try:
            await self.request("DELETE", await self.path(kind, namespace, name), params=params)
        except ApiError as error:
            if error.status != 404:
                raise

    async def delete_all(self, kind: str, namespace: str, *, labels: str = "") -> None:
        """DELETE of a collection."""
        params = {"propagationPolicy": "Background"} | ({"labelSelector": labels} if labels else {})
        await self.request("DELETE", await self.path(kind, namespace), params=params)

    async def create_namespace(self, name: str, labels: dict[str, str] | None = None) -> Object:
        """A namespace whose default service account is there, so that pods can be made in it."""
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
        created = await self.create(obj)
        await self.wait_for("v1/ServiceAccount", "default", name, lambda account: account is not None)
        return created

    async def service_account_token(self, name: str, namespace: str, *, seconds: int = 3600) -> str:
        """A token as a pod of that service account gets it."""
        path = await self.path("v1/ServiceAccount", namespace, f"{name}/token")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": seconds},
        }
        return str((await self.request("POST", path, body))["status"]["token"])

    async def _path_of(self, obj: Object, subresource: str, namespace: str | None = None) -> str:
        metadata = obj["metadata"]
        path = await self.path(_kind(obj), namespace or metadata.get("namespace"), metadata["name"])
        return f"{path}/{subresource}" if subresource else path

    # --- watching -----------------------------------------------------------------------------------------------------

    async def watch(
        self, kind: str, namespace: str | None = None, *, version: str = "", fields: str = "", labels: str = ""
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """(type, object) of each event after resource version `version`, until the server ends the watch.

        Raises `ApiError` for an ERROR event (410 when the version is too old).
        """
        params = {"watch": "true", "resourceVersion": version, "fieldSelector": fields, "labelSelector": labels}
        path = await self.path(kind, namespace)
        async with (
            self._use_session() as session,
            session.get(
                path,
                params={key: value for key, value in params.items() if value},
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=2**22,  # an event is one line
            ) as answer,
        ):
            if answer.status >= 300:
                raise ApiError(answer.status, "GET", path, await answer.text())
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), "GET", path, json.dumps(event["object"]))
                yield event["type"], event["object"]

    async def wait_for(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        predicate: Callable[[Object | None], object],
        *,
        timeout: float = 60.0,
        message: str = "",
    ) -> Object | None:
        """The object (None: it is gone) as soon as `predicate` of it is true; by watching, so it is seen at once.

        An exception of the predicate counts as "not yet", as does an API server that is busy or not there.
        Raises `NeverHappened` after `timeout` seconds, with the object as it was then.
        """
        deadline = time.monotonic() + timeout
        last: Object | None = None
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        async with contextlib.aclosing(self._states(kind, name, namespace)) as states:
                            async for last in states:
                                with contextlib.suppress(Exception):
                                    if predicate(last):
                                        return last
                    except aiohttp.ClientError:
                        pass
                    except ApiError as error:
                        if error.status not in _PASSING and error.status < 500:
                            raise
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            if time.monotonic() < deadline:
                raise
            shown = json.dumps(_readable(last), indent=1)[:4000] if last else "it is not there"
            what = message or f"{kind} {namespace or ''}/{name}"
            raise NeverHappened(f"not within {timeout:g} s: {what}; last seen: {shown}") from error

    async def _states(self, kind: str, name: str, namespace: str | None) -> AsyncGenerator[Object | None, None]:
        """The object now and after each change; ends when the server ends the watch."""
        params = {"fieldSelector": f"metadata.name={name}"}
        listed = await self.request("GET", await self.path(kind, namespace), params=params)
        yield listed["items"][0] | _type_of(kind) if listed["items"] else None
        version = listed["metadata"]["resourceVersion"]
        events = self.watch(kind, namespace, version=version, fields=params["fieldSelector"])
        async with contextlib.aclosing(events):
            async for what, obj in events:
                yield None if what == "DELETED" else obj


def condition(obj: Object | None, type_: str) -> Object | None:
    """A condition of `status.conditions`, or None."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == type_), None)


def is_true(obj: Object | None, type_: str) -> bool:
    """Whether the object has the condition with status True."""
    found = condition(obj, type_)
    return found is not None and found["status"] == "True"


def _established(crd: Object | None) -> bool:
    return is_true(crd, "Established")


def _kind(obj: Object) -> str:
    return f"{obj['apiVersion']}/{obj['kind']}"


def _type_of(kind: str) -> Object:
    version, _, name = kind.rpartition("/")
    return {"apiVersion": version, "kind": name}


def _readable(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
