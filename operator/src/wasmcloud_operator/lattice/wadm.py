"""The wadm clients: one typed method for each operation of wadm's NATS API, failures by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.base.write_gate import WriteGate
from wasmcloud_operator.lattice.connection_types import Channel
from wasmcloud_operator.lattice.errors import (
    AnswerLost,
    LatticeUnavailable,
    NoResponders,
    WadmGarbled,
    WadmNotFound,
    WadmRejected,
    WadmTransient,
    WadmUnavailable,
    WadmVersionExists,
    one_line,
)
from wasmcloud_operator.lattice.request_limit import RequestLimit
from wasmcloud_operator.lattice.sending import writing
from wasmcloud_operator.lattice.subjects import DEFAULT_WADM_PREFIX, WadmSubjects
from wasmcloud_operator.lattice.wadm_types import (
    LISTED_LIMIT,
    AppStatus,
    ModelSummary,
    PutResult,
    VersionInfo,
    model_summaries,
)

# Any with a reason: JSON documents; whoever takes one apart checks what it finds.
_T = TypeVar("_T")

_JSON_HEADER = {"Content-Type": "application/json"}
_RETRIES = 2
_NOBODYS = "wasmcloud-operator-asks-whether-wadm-is-there"
_VERSIONS = TypeAdapter(Annotated[tuple[VersionInfo, ...], Field(max_length=LISTED_LIMIT)])


class WadmReader:
    """wadm of one lattice, to read from. `timeout` in seconds bounds each single request.

    Every method raises `WadmUnavailable` (nobody answers; `may_have_run` is whether it may have been done),
    `WadmGarbled`, `WadmTransient` and, for what wadm will not do, `WadmRejected` with wadm's own text.
    Requests that only read are asked again once when their answer is lost.
    """

    def __init__(
        self, connection: Channel, lattice: str, *, prefix: str = DEFAULT_WADM_PREFIX, timeout: float = 5.0
    ) -> None:
        self.subjects = WadmSubjects(lattice, prefix)
        self.limit = RequestLimit(f"wadm of lattice {lattice}")
        self._connection = connection
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.subjects.lattice} on {self._connection!r}>"

    async def get(self, name: str, version: str | None = None) -> JsonObject:
        """The stored manifest, by default of the newest version. Raises `WadmNotFound`."""
        body = json.dumps({"version": version} if version else {}).encode()
        answer = await self._read(self.subjects.model("get", name), body)
        manifest = answer.get("manifest")
        if not isinstance(manifest, dict):
            raise WadmGarbled(f"wadm's answer to get {name} holds no manifest")
        return manifest

    async def list(self) -> tuple[ModelSummary, ...]:
        """All applications of the lattice."""
        try:
            answer = await self._read(self.subjects.model("get"))
        except WadmRejected:  # before 0.15 `get` needs a name, and `list` answers with a bare array
            answer = await self._read(self.subjects.model("list"))
        return listed_models(answer)

    async def ping(self) -> None:
        """Have wadm answer to the cheapest request there is: about an application that nobody has."""
        with suppress(WadmNotFound, WadmRejected):
            await self._ask(self.subjects.model("get", _NOBODYS), b"{}")

    async def versions(self, name: str) -> tuple[VersionInfo, ...]:
        """The stored versions, oldest first. Raises `WadmNotFound`."""
        answer = await self._read(self.subjects.model("versions", name))
        return _shaped(_VERSIONS.validate_python, answer.get("versions"))

    async def status(self, name: str) -> AppStatus:
        """The application's status. Of an unknown one wadm ≥ 0.14 answers undeployed; before, `WadmNotFound`."""
        answer = await self._read(self.subjects.model("status", name))
        return _shaped(AppStatus.model_validate, answer.get("status"))

    async def _read(self, subject: str, body: bytes = b"") -> JsonObject:
        try:
            return await self._ask(subject, body)
        except WadmUnavailable as error:
            if not error.may_have_run:
                raise
        return await self._ask(subject, body)

    async def _ask(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, *, timeout: float | None = None
    ) -> JsonObject:
        with _by_wadm_name(self.subjects.lattice), self.limit:
            raw = await self._connection.request(subject, body, timeout=timeout or self._timeout, headers=headers)
        return _checked(_decoded(raw))


class WadmWriter(WadmReader):
    """wadm of one lattice, to change as well, for the time that `gate` leaves.

    Requests that write are never sent again when their answer is lost, as a lost answer does not mean that nothing was
    done: read back instead. A write that wadm calls a transient failure is asked for again up to twice: it was stored
    or not, but wadm's workers did not hear of it, and do with the repeated one.
    """

    def __init__(
        self,
        connection: Channel,
        lattice: str,
        *,
        gate: WriteGate,
        prefix: str = DEFAULT_WADM_PREFIX,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(connection, lattice, prefix=prefix, timeout=timeout)
        self._gate = gate

    async def put(self, manifest: Mapping[str, Any]) -> PutResult:
        """Store a version of an application.

        Raises `WadmVersionExists` when that version is stored, with whatever content; `PayloadTooLarge`. A concurrent
        writer makes wadm refuse with "Internal storage error" before anything is stored: that is tried again here.
        """
        payload = json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode()
        answer = await self._insist(self.subjects.model("put"), payload, headers=_JSON_HEADER)
        return _shaped(PutResult.model_validate, answer)

    async def deploy(self, name: str, version: str | None = None) -> None:
        """Run a stored version, by default the newest. Raises `WadmNotFound` when the application is not known.

        wadm refuses (`WadmRejected`) an unknown version, component ids that another deployed application uses, and
        shared components that are not deployed.
        """
        body = json.dumps({"version": version} if version else {}).encode()
        await self._insist(self.subjects.model("deploy", name), body)

    async def undeploy(self, name: str) -> None:
        """Stop running it; acknowledged also when nothing was deployed. Raises `WadmNotFound`."""
        await self._insist(self.subjects.model("undeploy", name), b"{}")

    async def delete(self, name: str, version: str | None = None) -> bool:
        """Forget one version, or all; False when there was none. wadm undeploys what was deployed."""
        body = json.dumps({"version": version} if version else {}).encode()  # 0.12 rejects an empty body
        answer = await self._insist(self.subjects.model("del", name), body)
        return answer.get("result") != "noop"

    async def _insist(self, subject: str, body: bytes, headers: Mapping[str, str] | None = None) -> JsonObject:
        """Returns the answer to a write, asked for again as long as wadm itself asks for that."""
        for _ in range(_RETRIES):
            with suppress(WadmTransient):
                return await self._write(subject, body, headers)
        return await self._write(subject, body, headers)

    async def _write(self, subject: str, body: bytes, headers: Mapping[str, str] | None) -> JsonObject:
        with _by_wadm_name(self.subjects.lattice), writing(self._gate, self._timeout, subject) as seconds:
            return await self._ask(subject, body, headers, timeout=seconds)


@contextmanager
def _by_wadm_name(lattice: str) -> Iterator[None]:
    try:
        yield
    except NoResponders:
        raise WadmUnavailable(
            f"wadm does not listen on lattice {lattice}: is it running, and for this NATS account?"
        ) from None
    except LatticeUnavailable as error:
        raise WadmUnavailable(str(error)) from None
    except AnswerLost as error:
        raise WadmUnavailable(f"wadm: {error}", may_have_run=True) from None


def _decoded(raw: bytes) -> JsonObject:
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        raise WadmGarbled(f"wadm's answer is not JSON ({len(raw)} bytes)") from None
    if isinstance(answer, list):
        return {"result": "success", "models": answer}
    if not isinstance(answer, dict):
        raise WadmGarbled("wadm's answer is not a JSON object")
    return answer


def _checked(answer: JsonObject) -> JsonObject:
    """Returns the answer if it is a success. Raises the error in it otherwise.

    A failed delete of one version answers "deleted" with the text of a storage error, so the text is looked at as well.
    """
    result = answer.get("result")
    message = one_line(str(answer.get("message") or ""))
    if message.startswith("Internal storage error") or "likely a transient error" in message:
        raise WadmTransient(message)
    if result == "notfound":
        raise WadmNotFound(message)
    if result == "error":
        if message.startswith("Manifest version ") and message.endswith(" already exists"):
            raise WadmVersionExists(message)
        raise WadmRejected(message or "wadm names no reason")
    if not isinstance(result, str):
        raise WadmGarbled("wadm's answer names no result")
    return answer


def listed_models(answer: JsonObject) -> tuple[ModelSummary, ...]:
    """Returns the applications in a list of wadm's. Raises `WadmGarbled`."""
    return _shaped(model_summaries, answer.get("models"))


def _shaped(parse: Callable[[Any], _T], value: object) -> _T:
    try:
        return parse(value)
    except (ValueError, TypeError, AttributeError):  # pydantic's own error is a ValueError
        raise WadmGarbled("wadm's answer does not have the agreed shape") from None
