"""The answers of wadm 0.12 to 0.21, typed: unknown fields are ignored, missing ones and nulls have defaults."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from wasmcloud_operator.lattice.errors import one_line, readable

# Whoever may publish in a lattice can answer in wadm's place, and each entry costs a hundred times its bytes. An
# application has a scaler for each trait, and of more than this many a status shows only the first.
_SCALERS_LIMIT = 1_000
LISTED_LIMIT = 20_000  # entries of one list, which is refused, as what it lacks would count as gone
_SCALER_BYTES = 1_200  # of memory, without its texts


class StatusType(StrEnum):
    """wadm's word for how an application or a scaler does; UNKNOWN stands for a word that is not known here."""

    WAITING = "waiting"
    UNDEPLOYED = "undeployed"
    RECONCILING = "reconciling"
    DEPLOYED = "deployed"
    FAILED = "failed"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


_OLDER_WORDS = {"compensating": StatusType.RECONCILING, "ready": StatusType.DEPLOYED}


def _status_type(value: object) -> StatusType:
    word = str(value).lower()
    if word in _OLDER_WORDS:
        return _OLDER_WORDS[word]
    return StatusType(word) if word in set(StatusType) else StatusType.UNKNOWN


def _text(value: object) -> str:
    return "" if value is None else readable(str(value))


def _message(value: object) -> str:
    return "" if value is None else one_line(str(value))


def _many(value: object) -> object:
    return () if value is None else value[:_SCALERS_LIMIT] if isinstance(value, list) else value


Text = Annotated[str, BeforeValidator(_text)]
MessageText = Annotated[str, BeforeValidator(_message)]


class WadmAnswer(BaseModel):
    """A part of one of wadm's answers."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class StatusInfo(WadmAnswer):
    """A status word with its explanation, one line."""

    type: Annotated[StatusType, BeforeValidator(_status_type)] = StatusType.UNDEPLOYED
    message: MessageText = ""


class WadmScaler(WadmAnswer):
    """How one scaler of an application does."""

    id: Text = ""
    kind: Text = ""
    name: Text = ""
    info: StatusInfo = Field(default_factory=StatusInfo, alias="status")


class AppStatus(WadmAnswer):
    """How an application does as a whole. It has no version: wadm's `versions` show what is deployed."""

    info: StatusInfo = Field(alias="status")
    scalers: Annotated[tuple[WadmScaler, ...], BeforeValidator(_many)] = ()

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        words = (len(one.id) + len(one.kind) + len(one.name) + len(one.info.message) for one in self.scalers)
        return _SCALER_BYTES * (1 + len(self.scalers)) + sum(words)

    @model_validator(mode="before")
    @classmethod
    def _with_scalers(cls, value: object) -> object:
        """What wadm before 0.14 pushes: the word and its message alone."""
        return (
            {"status": value} if isinstance(value, dict) and {"type"} <= value.keys() <= {"type", "message"} else value
        )


class ModelSummary(WadmAnswer):
    """One application in wadm's list; `version` is the newest one stored, `deployed_version` "" when none is."""

    name: Text
    version: Text = ""
    description: Text = ""
    deployed_version: Text = ""
    status: StatusInfo = Field(default_factory=StatusInfo)
    scalers: Annotated[tuple[WadmScaler, ...], BeforeValidator(_many)] = ()


class VersionInfo(WadmAnswer):
    """One stored version of an application."""

    version: Text
    deployed: bool = False


class PutResult(WadmAnswer):
    """What became of a put: `version` is the stored one, `total_versions` counts all that wadm keeps."""

    name: Text = ""
    version: Text = Field(default="", alias="current_version")
    total_versions: int = 0
    message: MessageText = ""


def model_summaries(values: list[dict[str, Any]]) -> tuple[ModelSummary, ...]:
    """The entries of a list. Raises ValueError for more than can be taken."""
    room = LISTED_LIMIT - len(values)
    for value in values:
        detailed = value.get("detailed_status")
        scalers = detailed.get("scalers") if isinstance(detailed, dict) else None
        room -= len(scalers) if isinstance(scalers, list) else 0
    if room < 0:
        raise ValueError(f"more than {LISTED_LIMIT} applications and scalers")
    return tuple(model_summary(value) for value in values)


def model_summary(value: dict[str, Any]) -> ModelSummary:
    """A list entry. wadm ≥ 0.14 has the full status in `detailed_status`, before that a word and a message stood apart.

    The word that stands apart is undeployed where the detailed one is waiting.
    """
    detailed = value.get("detailed_status")
    detailed = detailed if isinstance(detailed, dict) else {}
    info = detailed.get("status")
    if not isinstance(info, dict):
        info = {"type": value.get("status", StatusType.UNDEPLOYED), "message": value.get("status_message")}
    return ModelSummary.model_validate({**value, "status": info, "scalers": detailed.get("scalers")})
