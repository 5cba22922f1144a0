"""Options by kind: a configuration field whose class depends on its ``kind``."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from autoscale.registries.errors import PLUGIN_ERRORS, RegistryError
from autoscale.registries.registry import Registry


@dataclass(frozen=True, slots=True)
class ByKind:
    """Marker for a field with options by kind: ``Annotated[<base class of the options>, ByKind(<registry>)]``.

    Attributes:
        registry: the kinds and their option classes.
        default: the kind that applies if the options name no kind. None: ``kind`` is required.
    """

    registry: Registry[Any]
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return a schema that validates with the kind's option class and serialises all its fields."""
        schema = core_schema.no_info_before_validator_function(self._validated, handler(source))
        schema["serialization"] = core_schema.simple_ser_schema("any")
        return schema

    def _validated(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value  # the schema of the base class accepts its instances and rejects everything else
        kind = value.get("kind", self.default)
        if kind is None:
            raise _fault("missing", "Field required", value)
        if not isinstance(kind, str):
            raise _fault("kind", f"expected a name, got {kind!r}", value)
        try:
            config = self.registry.get(kind).config
        except RegistryError as error:
            raise _fault("kind", str(error), value) from error
        try:
            return config.model_validate({**value, "kind": kind})
        except PLUGIN_ERRORS as error:
            if isinstance(error, ValidationError) or kind in self.registry.builtins:
                raise
            message = (
                f"the options of this kind cannot be read: {type(error).__name__}: {error}; fix the package that adds "
                f"the kind"
            )
            raise _fault("kind", message, value) from error


def _fault(code: str, message: str, options: dict[Any, Any]) -> ValidationError:
    # The text of a custom error is a template. Pass the message as a value, because it may contain braces.
    text = PydanticCustomError(code, "{message}", {"message": message})
    details = InitErrorDetails(type=text, loc=("kind",), input=options)
    return ValidationError.from_exception_data("options", [details])
