from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from autoscale.registries.options import ByKind
from models.runtimes.kinds.onnx import OnnxConfig
from models.runtimes.kinds.registry import RUNTIMES, RuntimeConfig


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    own: RuntimeConfig = OnnxConfig()
    by_name: dict[str, RuntimeConfig] = {}
    several: tuple[RuntimeConfig, ...] = ()


def faults(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as refused:
        Part.model_validate(fields)
    return [(".".join(map(str, f["loc"])), f["msg"]) for f in refused.value.errors()]


def test_kind_selects_the_class_and_all_fields_are_serialised() -> None:
    data = {"own": {"kind": "accelerate", "shards": 2}, "several": [{"kind": "torch", "threads": 2}]}
    part = Part.model_validate(data)
    assert [type(part.own).__name__, type(part.several[0]).__name__] == ["AccelerateConfig", "TorchConfig"]
    dumped = part.model_dump(mode="json")
    assert dumped["own"]["micro_batches"] == 4
    assert Part.model_validate(dumped) == part == Part.model_validate_json(part.model_dump_json())


def test_error_location_is_the_field_of_the_options() -> None:
    assert faults(by_name={"a": {"kind": "torch", "threads": 0, "shards": 1}}) == [
        ("by_name.a.threads", "Input should be greater than or equal to 1"),
        ("by_name.a.shards", "Extra inputs are not permitted"),
    ]
    assert faults(several=[{"threads": 1}]) == [("several.0.kind", "Field required")]
    ((field, message),) = faults(own={"kind": "{tvm}"})
    assert (field, message.partition(";")[0]) == ("own.kind", "unknown runtime, got '{tvm}'")
    ((field, _),) = faults(own="torch")
    assert field == "own"


def test_options_may_have_a_default_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[BaseModel, ByKind(RUNTIMES, default="torch")])
    assert adapter.validate_python({"threads": 3}).kind == "torch"


def test_json_schema_can_be_generated() -> None:
    schema = Part.model_json_schema()
    kind: Literal["string"] = schema["$defs"]["RuntimeOptions"]["properties"]["kind"]["type"]
    assert kind == "string"
