"""Options by kind: a field of a configuration whose class follows from its ``kind``."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from autoscale.registries.errors import PLUGIN_ERRORS, RegistryError
from autoscale.registries.registry import Registry


@dataclass(frozen=True, slots=True)
class ByKind:
    """Marks a field: ``Annotated[<base class of the options>, ByKind(<registry>)]``.

    default: the kind of options that name none; None: they must name one.
    """

    registry: Registry[Any]
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate by the class of the kind, and write all of its fields."""
        schema = core_schema.no_info_before_validator_function(self._validated, handler(source))
        schema["serialization"] = core_schema.simple_ser_schema("any")
        return schema

    def _validated(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value  # the base class accepts its instances and refuses anything else
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
            message = f"its options cannot be read, got {type(error).__name__}: {error}; fix its package"
            raise _fault("kind", message, value) from error


def _fault(code: str, message: str, options: dict[Any, Any]) -> ValidationError:
    # A custom error's text is a template; braces of the message would be taken for fields.
    text = PydanticCustomError(code, "{message}", {"message": message})
    details = InitErrorDetails(type=text, loc=("kind",), input=options)
    return ValidationError.from_exception_data("options", [details])
