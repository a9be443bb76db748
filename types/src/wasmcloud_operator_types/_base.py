"""What every model of the two custom resources has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A frozen model: snake_case in Python, camelCase in JSON, unknown fields kept out with an error that names them.

    The docstring under a field becomes its description in the CRD.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        defer_build=True,  # a model within another needs no validator of its own
        frozen=True,
        hide_input_in_errors=True,  # it may be secret
        use_attribute_docstrings=True,
    )


class Resource(Model):
    """A frozen model of a whole object: ``dump`` always writes its kind, also of an object that was made in Python."""

    def model_post_init(self, context: object, /) -> None:
        """Count both as written."""
        self.model_fields_set.update(("api_version", "kind"))


class StatusModel(Model):
    """A frozen model that drops fields it does not know: what an older or newer operator wrote must still parse."""

    model_config = ConfigDict(extra="ignore")
