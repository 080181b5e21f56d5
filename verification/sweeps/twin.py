"""The twin's steps on the inputs of a sweep, compared with golden's results where they lie: on the host or on a GPU."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from cuda_impl import gates, launch
from cuda_impl.activation import pack
from cuda_impl.elementwise import map_step
from cuda_impl.linear import safe_block
from cuda_impl.rounding import TIES_AWAY, TIES_EVEN, TIES_UP
from golden.spec.formats import INT8, IntFormat
from verification.sweeps import elements
from verification.sweeps.golden_side import pot_operators, table_of
from verification.sweeps.sweep import Sweep

NOWHERE = 2**62  # the first mismatch where there is none
GRIDS = {"gpu": (4096, 256), "simulator": (2, 3)}  # blocks, threads
ROUNDINGS = {"ties_up": TIES_UP, "ties_away": TIES_AWAY, "ties_even": TIES_EVEN}
OPERATOR_ROWS = {
    "Rh": gates.OP_RH, "h": gates.OP_H, "z": gates.OP_Z, "r": gates.OP_R, "g": gates.OP_G,
    "A": gates.OP_A, "P": gates.OP_P, "O": gates.OP_O, "N": gates.OP_N,
}  # fmt: skip
Arguments = tuple[np.ndarray, np.ndarray, np.ndarray]


def count_differing(first, k, golden, v, c, f, table):
    """How many codes of golden the twin does not give; index first + j belongs to golden[j]."""
    wrong, last = 0, v.shape[0] - 1
    for j in range(golden.shape[0]):
        if element(first + j, k, v[min(j, last)], c, f, table) != golden[j]:
            wrong += 1
    return wrong


def differing_from(first, k, golden, v, c, f, table):
    """The first index on which they differ, NOWHERE when there is none."""
    last = v.shape[0] - 1
    for j in range(golden.shape[0]):
        if element(first + j, k, v[min(j, last)], c, f, table) != golden[j]:
            return first + j
    return NOWHERE


def element_at(i, k, v, c, f, table):
    """One result of the twin."""
    return element(i, k, v, c, f, table)


def grid_differing(first, k, golden, v, c, f, table, found):
    """On a GPU: found[0] += how many differ, found[1] = the least index that does."""
    j = cuda.grid(1)
    step, last = cuda.gridsize(1), v.shape[0] - 1
    while j < golden.shape[0]:
        if element(first + j, k, v[min(j, last)], c, f, table) != golden[j]:
            cuda.atomic.add(found, 0, 1)
            cuda.atomic.min(found, 1, first + j)
        j += step


element: Any = None  # bound by `loops`
cuda: Any = None


@cache
def loops(kind: str, step: str) -> dict[str, Callable[..., Any]]:
    """The loops of this file for a step, compiled for "host", "gpu" or "simulator" when first called."""
    from numba import njit

    names = dict(launch.namespace(kind))
    names["NOWHERE"] = NOWHERE

    def step_of(function: Any) -> Any:
        copy = types.FunctionType(function.__code__, names, function.__name__)
        if kind == "host":
            return njit(error_model="numpy", nogil=True)(copy)
        return names["cuda"].jit(device=True, forceinline=True)(copy) if kind == "gpu" else copy

    names["int32_of"] = step_of(elements.int32_of)
    names["element"] = step_of(getattr(elements, f"{step}_at"))
    if kind == "host":
        return {f.__name__: step_of(f) for f in (count_differing, differing_from, element_at)}
    kernel = types.FunctionType(grid_differing.__code__, names, grid_differing.__name__)
    return {"grid_differing": names["cuda"].jit(lto=False)(kernel) if kind == "gpu" else names["cuda"].jit(kernel)}


def arguments(sweep: Sweep, kind: str = "host") -> Arguments:
    """(c, f, table) of a sweep, int64 [n], float32 [1], int64 [rows, columns]."""
    s, table, scale = sweep.constants, np.zeros((1, 1), np.int64), np.float32(0)
    names: list[Any]
    if sweep.step in ROUNDINGS:
        names = [s["s"]]
    elif sweep.step == "requantize":
        names = [s["M"], s["s"], s["zp"], *_bounds(str(s["fmt"]))]
    elif sweep.step in ("quantize", "quantize_reciprocal"):
        scale = np.float32(s["scale"])
        if sweep.step == "quantize_reciprocal":
            scale = np.float32(map_step("reciprocal", scale, device="host"))
        names = [s["zp"], *_bounds(str(s["fmt"]))]
    elif sweep.step == "matmul":
        names, table = [0], _products(int(s["zp"]), kind)
    elif sweep.step == "mshift_candidate":
        shared = [s["m_b"], s["s_b"], s["m_rRh"], s["s"], s["m_b"], s["m_g"], s["zp"], *_bounds("int8")]
        names, table = [s["Wx"], s["bx"], s["br"], *shared], pack(table_of(sweep))
    elif sweep.step == "mshift_hidden":
        names = [s["m_gh"], s["s"], s["m_one"], s["s"], s["zp"]]
    elif sweep.step in ("pot_reset_path", "pot_hidden"):
        names, table = [s.get("br", 0), s.get("e_br", 0)], _operators(sweep)
    elif sweep.step == "zoneout_blend":
        names = [s["zp"], *_bounds("int8")]
    else:
        names, table = [0], pack(table_of(sweep))
    return np.array([int(n) for n in names], np.int64), np.array([scale], np.float32), table


def _bounds(name: str) -> tuple[int, int]:
    fmt = IntFormat.parse(name)
    return fmt.qmin, fmt.qmax


def _products(zero_point: int, kind: str) -> np.ndarray:
    """The twin's matmul of every x with every W, int64 [256, 256]."""
    target = launch.target(kind)
    codes = target.put(np.arange(-128, 128, dtype=np.int32)[:, None])
    weights = target.put(np.arange(-128, 128, dtype=np.int8)[None, :])
    sums, out = target.empty((256,), np.int64), target.empty((256, 256), np.int64)
    target.run("sum_columns", 1, weights, sums)
    block = safe_block(128, max(abs(INT8.qmin), INT8.qmax))
    target.run("multiply_rows", 256, codes, weights, sums, target.put(np.array([zero_point])), 256, block, out)
    return target.get(out)


def _operators(sweep: Sweep) -> np.ndarray:
    """ops of cuda_impl.gates, int64 [15, 4]."""
    ops = np.zeros((gates.OP_RUN + 1, 4), np.int64)
    for name, op in pot_operators(sweep).items():
        ops[OPERATOR_ROWS[name]] = op.exponent, op.zero_point, op.fmt.qmin, op.fmt.qmax
    rounding = ROUNDINGS[str(sweep.constants["rounding"])]
    ops[gates.OP_RUN, gates.RUN_ROUNDING] = rounding
    if "e_z" in sweep.constants:
        z = ops[gates.OP_Z]
        ops[gates.OP_RUN, gates.RUN_ONE] = map_step("pot_one", int(z[0]), int(z[1]), rounding, device="host")
    return ops


def twin_value(sweep: Sweep, index: int, k: int, v: float = 0.0) -> int:
    """The twin's output k on one input, on the host."""
    c, f, table = arguments(sweep)
    return int(loops("host", sweep.step)["element_at"](index, k, np.float32(v), c, f, table))


def compare_host(sweep: Sweep, start: int, k: int, golden: np.ndarray, v: np.ndarray, given: Arguments) -> tuple[int, int]:
    """(how many codes differ, the first index that does or NOWHERE)."""
    compiled = loops("host", sweep.step)
    wrong = int(compiled["count_differing"](start, k, golden, v, *given))
    return wrong, int(compiled["differing_from"](start, k, golden, v, *given)) if wrong else NOWHERE


def compare_gpu(kind: str, sweep: Sweep, start: int, k: int, golden: Any, v: Any, given: Any, found: Any) -> None:
    """Add the same to found, on a GPU where all of it lies, or in the simulator with NumPy arrays."""
    arrays = (golden, v, *given, found)
    if kind == "gpu":
        arrays = tuple(launch.gpu_array(a) for a in arrays)
    kernel: Any = loops(kind, sweep.step)["grid_differing"]
    kernel[GRIDS[kind]](start, k, *arrays)
