"""The schema that is shipped, the checker that reads it, and an independent validator agree."""

from __future__ import annotations

import copy
import json
import random

import pytest

from golden.spec.layout import FIELDS
from tests.vectors.examples import FLAGS, cases
from tests.vectors.test_mutations import mutate_value
from vectors.describe import ROLES
from vectors.errors import VectorError
from vectors.structure import KEYWORDS, check_structure, manifest_schema
from vectors.writer import write_set


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    write_set(path, cases()[3:5], seed=7, version="1.0", flags=FLAGS)
    return json.loads((path / "manifest.json").read_text())


def objects(schema, at=""):
    """(place, schema) of everything in the schema that is a schema."""
    yield at, schema
    for key in ("properties", "patternProperties", "$defs"):
        for name, inner in schema.get(key, {}).items():
            yield from objects(inner, f"{at}/{name}")
    for index, inner in enumerate(schema.get("oneOf", ())):
        yield from objects(inner, f"{at}/{index}")
    if "items" in schema:
        yield from objects(schema["items"], f"{at}[]")


def test_every_keyword_is_one_that_the_checker_knows():
    used = {key for _, schema in objects(manifest_schema()) for key in schema}
    assert used <= KEYWORDS
    assert {"const", "enum", "pattern", "oneOf", "minProperties", "maxLength", "$ref"} <= used


def test_unknown_fields_are_allowed_in_parameters_and_profile_only():
    opened = [
        at for at, s in objects(manifest_schema()) if s.get("type") == "object" and s.get("additionalProperties") is not False
    ]
    assert opened == ["/sequence/params", "/sequence/profile", "/chain/params", "/chain/profile", "/error/params"]


def test_every_pattern_is_anchored():
    for _, schema in objects(manifest_schema()):
        for pattern in [schema.get("pattern", "^$"), *schema.get("patternProperties", {})]:
            assert pattern.startswith("^") and pattern.endswith("$")


def test_the_clauses_and_roles_of_the_layout_are_in_the_schema(manifest):
    array = copy.deepcopy(manifest["cases"][0]["arrays"]["trace.z"])
    for clause in sorted({f.clause for fields in FIELDS.values() for f in fields}):
        array["clause"] = clause
        manifest["cases"][0]["arrays"]["trace.z"] = array
        check_structure(manifest, "manifest.json")
    assert set(ROLES.values()) == set(manifest_schema()["$defs"]["array"]["properties"]["role"]["enum"])


def test_an_independent_validator_agrees(manifest):
    """Two hundred changed manifests: both accept or both refuse."""
    jsonschema = pytest.importorskip("jsonschema")
    draft = jsonschema.Draft202012Validator
    draft.check_schema(manifest_schema())
    # JSON Schema takes 1.0 for an integer; the canonical text of an integer is never that.
    strict = draft.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    validator = jsonschema.validators.extend(draft, type_checker=strict)(manifest_schema())
    assert validator.is_valid(manifest)
    rng = random.Random(11)
    verdicts = []
    for number in range(200):
        changed = copy.deepcopy(manifest)
        mutate_value(rng, changed)
        try:
            check_structure(changed, "manifest.json")
            accepted = True
        except VectorError:
            accepted = False
        assert validator.is_valid(changed) == accepted, (number, [e.message[:200] for e in validator.iter_errors(changed)])
        verdicts.append(accepted)
    assert 20 < sum(verdicts) < 180
