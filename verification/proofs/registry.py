"""Every obligation by name, and the digests that say whether a recorded result is still of the present source."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path

from golden.spec.errors import ParameterError
from verification.proofs.obligation import Obligation

FAMILIES = (
    "rounding_steps",
    "mshift_steps",
    "pot_steps",
    "activation_steps",
    "linear_steps",
    "float_obligations",
    "sequence_steps",
)
BODIES = {"float_obligations": ("float_steps",)}  # where the queries are elsewhere
CORE = ("case", "clauses", "machine", "obligation", "source", "values")
HERE = Path(__file__).parent


@cache
def registry() -> dict[str, Obligation]:
    """Every obligation, in the order of the page."""
    return {name: obligation for name, (obligation, _) in _families().items()}


@cache
def _families() -> dict[str, tuple[Obligation, str]]:
    found: dict[str, tuple[Obligation, str]] = {}
    for family in FAMILIES:
        for obligation in import_module(f"verification.proofs.{family}").obligations():
            assert obligation.name not in found, obligation.name
            found[obligation.name] = obligation, family
    return found


def family_of(name: str) -> str:
    """The module that states an obligation."""
    if name not in _families():
        raise ParameterError("obligation", repr(name), f"one of {', '.join(registry())}")
    return _families()[name][1]


def chosen(names: tuple[str, ...]) -> list[Obligation]:
    """The obligations of these names, all when none is given.

    Raises   ParameterError for a name that there is not
    """
    for name in names:
        family_of(name)
    return [o for o in registry().values() if not names or o.name in names]


@cache
def statement_digest(name: str) -> str:
    """sha256 of the module that states an obligation and of what runs it; docstrings and layout left out."""
    total = hashlib.sha256()
    family = family_of(name)
    for module in (family, *BODIES.get(family, ()), *CORE):
        tree = ast.parse((HERE / f"{module}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        total.update(ast.dump(tree).encode())
    return total.hexdigest()
