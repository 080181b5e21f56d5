"""The shape of a manifest, checked against the JSON Schema that is shipped with it.

Reads the part of JSON Schema 2020-12 that vectors/schema uses, and answers with the place and the value.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

from vectors.errors import VectorError, shown

KEYWORDS = frozenset(
    "$defs $id $ref $schema additionalProperties const description enum items maxItems maxLength maximum minItems minLength "
    "minProperties minimum pattern oneOf patternProperties properties required title type uniqueItems".split()
)
_TYPES = {"object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float)}


@cache
def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of manifest.json."""
    return json.loads(files("vectors").joinpath("schema", "manifest.schema.json").read_text("ascii"))


def check_structure(value: Any, file: str) -> None:
    """Raise VectorError, naming the place in the file, unless value has the structure of a manifest."""
    schema = manifest_schema()
    _check(value, schema, schema["$defs"], file, "")


def _check(value: Any, schema: dict[str, Any], defs: dict[str, Any], file: str, at: str) -> None:
    if "$ref" in schema:
        schema = defs[schema["$ref"].removeprefix("#/$defs/")]

    if "oneOf" in schema:  # of objects that their field kind tells apart
        branches = [defs[s["$ref"].removeprefix("#/$defs/")] for s in schema["oneOf"]]
        kind = value.get("kind") if isinstance(value, dict) else None
        known = [s["properties"]["kind"]["const"] for s in branches]
        if not isinstance(kind, str) or kind not in known:
            raise VectorError(file, f"{at}.kind", shown(kind), f"one of {', '.join(known)}")
        schema = branches[known.index(kind)]

    def refuse(wanted: str, found: str | None = None) -> VectorError:
        return VectorError(file, at or "the manifest", shown(value) if found is None else found, wanted)

    if "const" in schema and (type(value) is not type(schema["const"]) or value != schema["const"]):
        raise refuse(shown(schema["const"]))
    if "type" in schema:
        wanted = schema["type"]
        if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
            raise refuse(f"{'an' if wanted[0] in 'aeio' else 'a'} {wanted}")
    if "enum" in schema and value not in schema["enum"]:
        raise refuse(f"one of {', '.join(schema['enum'])}")
    if isinstance(value, str):
        _check_string(value, schema, refuse)
    elif isinstance(value, dict):
        _check_object(value, schema, defs, file, at, refuse)
    elif isinstance(value, list):
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        if not low <= len(value) <= high:
            raise refuse(f"at least {low}" if len(value) < low else f"at most {high}", f"a list of {len(value)} items")
        for index, item in enumerate(value):
            _check(item, schema["items"], defs, file, f"{at}[{index}]")
        if schema.get("uniqueItems") and len(set(value)) != len(value):
            raise refuse("each item once")
    elif "minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
        raise refuse(f"a number in [{schema['minimum']}, {schema['maximum']}]")


def _check_string(value: str, schema: dict[str, Any], refuse: Any) -> None:
    low, high = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if not low <= len(value) <= high:
        raise refuse(f"a string of {low} to {high} characters")
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        raise refuse(f"a string that matches {schema['pattern']}")


def _check_object(value: dict[str, Any], schema: dict[str, Any], defs: dict[str, Any], file: str, at: str, refuse: Any) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise VectorError(file, f"{at}.{name}".lstrip("."), "missing", "a value")
    if len(value) < schema.get("minProperties", 0):
        raise refuse(f"at least {schema['minProperties']} entry", "empty")
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, item in value.items():
        inner = [named[name]] if name in named else [s for p, s in patterns.items() if re.fullmatch(p, name)]
        place = f"{at}.{name}" if name.isascii() and name.isprintable() else f"{at}.{shown(name)}"
        place = place.lstrip(".") if len(place) <= 160 else f"{place[:160].lstrip('.')}..."
        if not inner and schema.get("additionalProperties") is False:
            known = f"one of {', '.join(named)}" if named else f"a name that matches {' or '.join(patterns)}"
            raise VectorError(file, place, "an unknown field", known)
        for s in inner:
            _check(item, s, defs, file, place)
