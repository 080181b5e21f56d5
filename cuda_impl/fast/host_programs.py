"""The loops of the host build, compiled for a CPU and for the widths and cells of a network.

As launch.py does for the twin: every function finds the others in one dictionary, and its qualified name carries what the
dictionary binds and a digest of the sources, so that compiled code on disk is only found by what it came from.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from cuda_impl import launch
from cuda_impl.fast import host_dynamic_loops, host_loops, host_sync
from cuda_impl.fast.host_cell_mshift import make_mshift_cell
from cuda_impl.fast.host_cell_pot import make_pot_cell
from cuda_impl.fast.host_dot import ROWS, make_dot, make_gather_planes
from cuda_impl.fast.host_ir import TILE, has_byte_permute
from cuda_impl.fast.host_state import Form

PROGRAMS = (
    "input_products", "run_steps", "dynamic_products", "prepare_step", "run_dynamic_steps", "repeat_dot", "empty_phases",
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """How a product is computed.

    isa   of host_ir.ISAS
    form  of the data
    wide  whether the result is int64, else int32 modulo 2^32
    """

    isa: str
    form: Form
    wide: bool

    @property
    def simple(self) -> bool:
        """Whether the kernel's sums are the result."""
        return self.form.planes == 1 and not self.wide

    @property
    def tile_bytes(self) -> int:
        """Bytes of the results of a row and block."""
        return TILE * (8 if self.wide else 4)

    @property
    def label(self) -> str:
        """For names of programs."""
        return f"{self.isa}-{self.form.kind}{self.form.planes}-{'wide' if self.wide else 'narrow'}"


@dataclass(frozen=True)
class Cell:
    """Which cell: datapath "mshift" or "pot", how tables are read, and what only one of them has.

    wide_x   whether Wx is int64 (mshift); pot has one width, that of its products
    to_even  ties_even (pot)
    permute  whether tables of bytes are read from registers
    """

    datapath: str
    mode: str
    wide_x: bool = False
    to_even: bool = False
    permute: bool = False

    @property
    def label(self) -> str:
        """For names of programs."""
        flags = "".join("ny"[f] for f in (self.wide_x, self.to_even, self.permute))
        return f"{self.datapath}-{self.mode}-{flags}"


def permute_on(isa: str) -> bool:
    """Whether this build reads tables from registers."""
    return isa == "vnni" and has_byte_permute()


@lru_cache(maxsize=1)
def source_digest() -> str:
    """A hash of the sources of the host build and of the twin, whose steps it shares."""
    digest = hashlib.sha256(launch.source_digest().encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("gpu"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def product_program(product: Product) -> Callable:
    """input_products for a product."""
    return _namespace(product, None)["input_products"]


@cache
def step_program(product: Product, cell: Cell) -> Callable:
    """run_steps for the product of the state and a cell."""
    return _namespace(product, cell)["run_steps"]


@cache
def dynamic_programs(product: Product, cell: Cell) -> dict[str, Callable]:
    """The programs of a run with moving ranges."""
    return _namespace(product, cell)


@cache
def measuring_programs(product: Product) -> dict[str, Callable]:
    """The programs of host_measure.py."""
    from cuda_impl.fast import host_measure

    return _namespace(product, None, (host_sync, host_measure))


LOOPS = (host_sync, host_loops, host_dynamic_loops)


def _namespace(product: Product, cell: Cell | None, ours: tuple = LOOPS) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for module in ours:
        names.update((k, v) for k, v in vars(module).items() if not k.startswith("__"))
    names.update(launch.namespace("host"))  # the twin's steps, compiled
    names.update(names_of_product(product))
    if cell is not None:
        names["CELL"] = _cell(product, cell)
    label = f"{product.label}.{cell.label if cell is not None else 'none'}.{source_digest()}"
    files = {module.__name__ for module in ours}
    for name, value in list(names.items()):
        if isinstance(value, types.FunctionType) and value.__module__ in files:
            names[name] = _compiled(value, names, label, name in PROGRAMS)
    return names


def names_of_product(product: Product) -> dict[str, Any]:
    """What the loops call by names in capitals."""
    dots: dict[str, Any] = {f"DOT{rows}": make_dot(product.isa, product.form.kind, rows) for rows in ROWS}
    return dots | {
        "JOIN": make_gather_planes(product.wide),
        "PLANES": product.form.planes,
        "SIMPLE": product.simple,
        "TILE_BYTES": product.tile_bytes,
    }


def _cell(product: Product, cell: Cell) -> Callable:
    if cell.datapath == "pot":
        return make_pot_cell(product.form, product.wide, cell.to_even, cell.mode, cell.permute)
    return make_mshift_cell(product.form, cell.wide_x, cell.mode, cell.permute)


def _compiled(function: Any, names: dict[str, Any], label: str, kept: bool) -> Callable:
    from numba import njit

    bound = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__)
    bound.__module__ = function.__module__
    bound.__qualname__ = f"{function.__name__}.{label}"
    bound.__doc__ = function.__doc__
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    try:
        return njit(**options, cache=kept)(bound)
    except RuntimeError:  # nowhere to write compiled code
        return njit(**options)(bound)
