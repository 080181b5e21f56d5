"""The twin's functions as source: their syntax trees, their digests, and the same functions with a fault planted."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any

from golden.spec.errors import ParameterError

MODULES = (
    "intrinsics",
    "rounding",
    "rescale",
    "quantize",
    "ranges",
    "activation",
    "gates",
    "hidden",
    "linear",
    "cell",
    "programs",
    "dynamic",
)
PACKAGE = "cuda_impl"


@dataclass(frozen=True)
class Plant:
    """A fault: in the function, the text `old`, which stands there once, becomes `new`."""

    function: str
    old: str
    new: str


@cache
def _text(name: str) -> str:
    module, function = name.split(".")
    return textwrap.dedent(inspect.getsource(getattr(import_module(f"{PACKAGE}.{module}"), function)))


@cache
def digest(name: str) -> str:
    """sha256 of a function's syntax, docstring and layout left out; name as "rounding.ties_up"."""
    return hashlib.sha256(ast.dump(_bare(_text(name))).encode()).hexdigest()


def _bare(text: str) -> ast.FunctionDef:
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef)
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    return function


class Twin:
    """The functions of the twin, by "module.name", with faults planted where some are given."""

    def __init__(self, plants: Sequence[Plant] = ()) -> None:
        """Raises ParameterError when a plant's text is not in its function exactly once."""
        self.modules = {m: import_module(f"{PACKAGE}.{m}") for m in MODULES}
        self.texts: dict[str, str] = {}
        self.trees: dict[str, ast.FunctionDef] = {}
        for plant in plants:
            text = self.text(plant.function)
            if text.count(plant.old) != 1:
                raise ParameterError("planted text", f"{text.count(plant.old)} times in {plant.function}", "exactly once")
            self.texts[plant.function] = text.replace(plant.old, plant.new)
        self.planted = bool(plants)
        self.spaces: dict[str, dict[str, Any]] | None = None

    def text(self, name: str) -> str:
        """The source of a function."""
        return self.texts.get(name) or _text(name)

    def tree(self, name: str) -> ast.FunctionDef:
        """The syntax tree of a function, without its docstring."""
        if name not in self.trees:
            self.trees[name] = _bare(self.text(name))
        return self.trees[name]

    def globals_of(self, name: str) -> dict[str, Any]:
        """The names that a function sees."""
        return vars(self.modules[name.split(".")[0]])

    def callable(self, name: str) -> Any:
        """The function itself, as plain Python, with every planted function in the place of its original."""
        module, function = name.split(".")
        if not self.planted:
            return getattr(self.modules[module], function)
        if self.spaces is None:
            self.spaces = self._rebound()
        return self.spaces[module][function]

    def _rebound(self) -> dict[str, dict[str, Any]]:
        spaces = {m: dict(vars(module)) for m, module in self.modules.items()}
        for name, text in self.texts.items():
            module, _ = name.split(".")
            exec(compile(ast.parse(text), f"<planted {name}>", "exec"), spaces[module])  # noqa: S102
        fresh: dict[str, Any] = {}
        for m, space in spaces.items():
            for key, value in space.items():
                name = f"{m}.{key}"
                if isinstance(value, FunctionType) and (value.__module__ == f"{PACKAGE}.{m}" or name in self.texts):
                    fresh[name] = value if name in self.texts else FunctionType(value.__code__, space, key, value.__defaults__)
        for space in spaces.values():
            for key, value in space.items():
                name = name_of(value)
                if name in fresh:
                    space[key] = fresh[name]
        return spaces


def name_of(value: Any) -> str:
    """ "module.name" of a function of the twin, else an empty string."""
    if isinstance(value, FunctionType) and value.__module__.startswith(f"{PACKAGE}."):
        return f"{value.__module__.removeprefix(PACKAGE + '.')}.{value.__name__}"
    return ""
