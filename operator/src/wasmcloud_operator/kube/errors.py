"""Every way a call to the API server can fail, each under its own name, mapped once at the boundary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from wasmcloud_operator.kube.timestamps import from_http_date


class KubeError(Exception):
    """Anything that went wrong between us and the API server."""


class Unreachable(KubeError):
    """No answer: connection refused, reset, name not resolved, TLS failed. A write may or may not have happened."""


class DeadlineExceeded(Unreachable):
    """No answer in time. A write may or may not have happened."""


class NoConnectionFree(KubeError):
    """All connections that the request may use were in use for too long; nothing was sent."""


class NoCredentials(KubeError):
    """There is no kubeconfig or service account to go by, or one that makes no sense: waiting does not help."""


class NotKubernetes(KubeError):
    """What answers at the address is no Kubernetes API server: waiting does not help."""


class GarbledAnswer(Unreachable):
    """An answer that is not what the API server answers: a proxy's page, half a body. A write may have happened."""


class WritesForbidden(KubeError):
    """This replica may not write now: its gate is closed, as when it does not hold the lease for long enough."""


class ApiError(KubeError):
    """The API server answered with an error (a metav1.Status).

    `code` is the HTTP status, `reason` the machine's word for it (`Conflict`, `Expired` …), `causes` the fields it
    complains of as (JSON path, message), `retry_after` the seconds it asks us to wait, if it does.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        causes: tuple[tuple[str, str], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = causes
        self.retry_after = retry_after

    @property
    def explanation(self) -> str:
        """The refused fields with why each was refused, or the message."""
        return "; ".join(f"{path}: {message}" for path, message in self.causes) or self.message


class BadRequest(ApiError):
    """400: the request itself is wrong."""


class Unauthorized(ApiError):
    """401: the token or certificate is not (or no longer) accepted."""


class Forbidden(ApiError):
    """403: RBAC, admission or a quota refuses it."""


class NotFound(ApiError):
    """404 of the API server itself: no such object, or no such kind."""


class Conflict(ApiError):
    """409: the precondition (resourceVersion, uid) does not hold, or fields are owned by another manager."""


class AlreadyExists(ApiError):
    """409: an object of that name exists."""


class Expired(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class Invalid(ApiError):
    """422: the object breaks its schema; `causes` names the fields."""


# Answers that asking again does not change: somebody has to mend something first.
REFUSALS = (BadRequest, Invalid, Forbidden)


class Throttled(ApiError):
    """429: too many requests."""


class ServerError(ApiError):
    """5xx, or 404 of something in front of the API server: one of them is not well."""


class ResourceVersionTooLarge(ServerError):
    """504 with cause ResourceVersionTooLarge: the server has not seen that resourceVersion yet, or never will."""


# A Retry-After of a day would make us as deaf as a dead server does.
_MAX_RETRY_AFTER = 120.0
# What an overloaded server is left alone for when it does not say how long, or not so that it can be read.
_OVERLOADED_SECONDS = 1.0


def retry_after(error: BaseException) -> float:
    """Returns the seconds for which the API server asked us not to come again with this; 0 if it did not ask.

    A 429 or 503 asks, whether or not it says for how long.
    """
    if not isinstance(error, ApiError):
        return 0.0
    if error.retry_after is None:
        return _OVERLOADED_SECONDS if error.code in (429, 503) else 0.0
    return min(error.retry_after, _MAX_RETRY_AFTER)


class _Cause(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    causes: tuple[_Cause, ...] = ()
    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True):
    """A metav1.Status: the body of an error answer and the object of a watch's ERROR event."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """The status in `body`; a body that is none (a proxy's HTML page) makes an empty one."""
        try:
            return msgspec.json.decode(body, type=cls)
        except (ValueError, RecursionError):  # msgspec's own errors, and text that is not UTF-8
            return cls(message=body[:200].decode("utf-8", "replace").strip())


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: Throttled,
}


# The API server's answer about a kind that it does not serve, in text/plain.
_NO_SUCH_PATH = "404 page not found"


def error_from_status(status: Status, http_code: int, headers: Mapping[str, str] | None = None) -> ApiError:
    """The named error for an error answer or a watch's ERROR event (which comes with HTTP 200).

    An HTTP error is believed before the code inside the status, which may be a proxy's own. `Retry-After` is read in
    seconds or, as RFC 9110 permits, as a date, which counts from the answer's own `Date`.
    """
    code = http_code if http_code >= 400 else status.code or 500
    details = status.details or _Details()
    causes = tuple((cause.field, cause.message) for cause in details.causes)
    wait = _seconds(details.retry_after_seconds) or _seconds_to_wait(headers or {}) or None
    kind = _BY_CODE.get(code, ServerError if code >= 500 else ApiError)
    if kind is NotFound and status.reason != "NotFound" and status.message != _NO_SUCH_PATH:
        kind = ServerError  # a proxy's page, which must not end what exists
    if status.reason == "AlreadyExists":
        kind = AlreadyExists
    elif status.reason in ("Expired", "Gone"):
        kind = Expired
    elif any(cause.reason == "ResourceVersionTooLarge" for cause in details.causes) or (
        status.message.startswith("Too large resource version")
    ):
        kind = ResourceVersionTooLarge
    return kind(code, status.reason or "Unknown", status.message, causes=causes, retry_after=wait)


def _seconds_to_wait(headers: Mapping[str, str]) -> float:
    asked = headers.get("Retry-After", "")
    until, sent = from_http_date(asked), from_http_date(headers.get("Date", ""))
    return _seconds(asked) or (_seconds((until - sent).total_seconds()) if until and sent else 0.0)


def _seconds(value: str | float | None) -> float:
    try:
        seconds = float(value or 0.0)
    except ValueError:
        return 0.0
    return seconds if seconds > 0 else 0.0  # not negative, and a number
