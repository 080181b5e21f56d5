"""Every step file of golden and every public function in it has its twin of the same name, with its own arithmetic."""

from __future__ import annotations

import ast

import pytest

from tests.meta.house import ROOT, STEPS, public_functions, python_files


@pytest.mark.parametrize("step", STEPS)
def test_every_public_function_has_its_twin(step):
    golden = public_functions(ROOT / "golden" / f"{step}.py")
    twin = public_functions(ROOT / "cuda_impl" / f"{step}.py")
    assert golden, f"golden/{step}.py has no public function"
    assert sorted(set(golden) - set(twin)) == []


def test_the_steps_are_all_of_golden():
    makers = {p.stem for p in python_files("golden") if p.parent == ROOT / "golden"} - set(STEPS) - {"__init__"}
    assert "tables" in makers
    assert [name for name in makers if not name.startswith("table")] == []


@pytest.mark.parametrize("step", STEPS)
def test_the_twin_is_not_a_copy(step):
    """Bodies of two statements and more are written twice, not pasted."""
    golden = public_functions(ROOT / "golden" / f"{step}.py")
    twin = public_functions(ROOT / "cuda_impl" / f"{step}.py")
    pasted = [name for name in golden.keys() & twin.keys() if _body(golden[name]) == _body(twin[name]) != ""]
    assert pasted == []


def _body(function: ast.FunctionDef) -> str:
    """The statements of a function less its docstring, or nothing when there is at most one."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return "\n".join(ast.dump(s) for s in statements) if len(statements) > 1 else ""
