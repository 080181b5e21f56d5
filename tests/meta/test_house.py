"""The habits of the house: equality only, clauses cited, nothing left for later, files that can be read in one go."""

from __future__ import annotations

import ast
import re

import pytest

from tests.meta.house import PACKAGES, ROOT, STEPS, clauses, name_of, public_functions, python_files, tree

COMPARED = ("golden", "cuda_impl", "verification", "vectors")
EXACT = (*COMPARED, *(f"tests/{folder}" for folder in COMPARED))
TOLERANT = {"all" + "close", "is" + "close", "rtol", "atol", "ap" + "prox", "assert_almost_equal", "assert_array_almost_equal"}
LATER = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "NotImplemented" + "Error", "HA" + "CK")) + r")\b")
CITED = re.compile(r"\[SPEC ([^\]]+)\]")
CLAUSE = re.compile(r"\b(?:[A-Z]{1,2}-\d+|G-[MP]|[A-Z])\b")
EVERYTHING = python_files(*PACKAGES, "tests", *(f for f in ("benchmarks", "examples") if (ROOT / f).is_dir()))
LONGEST = 400


def names(module: ast.Module) -> set[str]:
    """Every name, attribute and keyword argument used in a module."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.update((node.name.split(".")[-1], node.asname or ""))
    return found


@pytest.mark.parametrize("path", python_files(*EXACT), ids=name_of)
def test_equality_only(path):
    assert names(tree(path)) & TOLERANT == set()


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_nothing_is_left_for_later(path):
    assert LATER.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_a_file_can_be_read_in_one_go(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST
    assert path.stem not in ("utils", "helpers", "misc", "common")


@pytest.mark.parametrize("step", STEPS)
def test_every_public_step_cites_its_clause(step):
    silent = []
    for name, function in public_functions(ROOT / "golden" / f"{step}.py").items():
        cited = [c for text in CITED.findall(ast.get_docstring(function) or "") for c in CLAUSE.findall(text)]
        if not cited:
            silent.append(name)
    assert silent == []


@pytest.mark.parametrize("path", python_files("golden", "cuda_impl", "verification"), ids=name_of)
def test_every_cited_clause_exists(path):
    text = path.read_text(encoding="utf-8")
    cited = {c for group in CITED.findall(text) for c in CLAUSE.findall(group)}
    assert cited - clauses() == set()


def test_the_clauses_are_found():
    assert {"F-1", "R-1", "R-4", "Q-4", "M-6", "E-5", "L-2", "A-5", "GM-1", "GM-4", "D-4", "GP-10", "Z-2", "S-3"} <= clauses()
    assert {f"X-{n}" for n in range(1, 10)} <= clauses()
    assert {"F", "D", "G-M", "G-P", "Z"} <= clauses()
    assert "GM-5" not in clauses() and "R-5" not in clauses()


@pytest.mark.parametrize("path", [p for p in python_files(*PACKAGES)], ids=name_of)
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(tree(path)), f"{name_of(path)} has no docstring"
