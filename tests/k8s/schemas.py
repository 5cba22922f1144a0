"""Validation with KubeRay's RayService schema. It rejects unknown fields, and is not in the repository."""

import json
from typing import Any

import jsonschema
import pytest

from tests.k8s.built import SCHEMA, Object

_FILE = "rayservice.ray.io_v1.schema.json"


def faults(service: Object) -> list[str]:
    """Return a RayService's faults by KubeRay's schema. Skip the test if the schema is not available."""
    path = SCHEMA / _FILE if SCHEMA.is_dir() else SCHEMA
    if not path.is_file():
        pytest.skip(f"{path} is not there: set RANKWAY_KUBERAY_SCHEMA to it")
    schema = _defaults_not_required(json.loads(path.read_text(encoding="utf-8")))
    errors = jsonschema.Draft7Validator(schema).iter_errors(_without_nulls(service))
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in errors]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value


def _defaults_not_required(schema: Any) -> Any:
    """Return the schema with defaulted fields optional: the API server fills in defaults before it validates."""
    if isinstance(schema, list):
        return [_defaults_not_required(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {name: _defaults_not_required(inner) for name, inner in schema.items()}
    properties = schema.get("properties")
    if isinstance(schema.get("required"), list) and isinstance(properties, dict):
        changed["required"] = [n for n in schema["required"] if "default" not in properties.get(n, {})]
    return changed
