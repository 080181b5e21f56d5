"""Golden's own functions on the inputs of a sweep, in NumPy or, on a GPU, in CuPy.

`space(xp)` gives golden's functions with their name `np` bound to another array module: the same code objects, so that not
a line of arithmetic is written again.
"""

from __future__ import annotations

import dataclasses
import importlib
import types
from functools import cache
from typing import Any

import numpy as np

from golden.spec.formats import INT8, IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable
from golden.tables import gate_table, piecewise_linear_table, piecewise_quadratic_table
from verification.sweeps.sweep import Sweep

MODULES = ("rounding", "quantize", "rescale", "linear", "activation", "gates", "hidden")
POT_NAMES = ("Rh", "h", "z", "r", "g", "A", "P", "O", "N")


class ArrayModule:
    """An array module that falls back on NumPy for what is no array function."""

    errstate = np.errstate

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._xp, name) if hasattr(self._xp, name) else getattr(np, name)


@cache
def space(xp: Any) -> dict[str, Any]:
    """golden's functions by name, on arrays of xp (numpy or cupy)."""
    modules = [importlib.import_module(f"golden.{m}") for m in MODULES]
    ours = {m.__name__ for m in modules}
    made: dict[tuple[str, str], types.FunctionType] = {}
    names: dict[str, Any] = {}

    def bound(function: types.FunctionType) -> types.FunctionType:
        key = (function.__module__, function.__name__)
        if key not in made:
            scope = dict(vars(importlib.import_module(function.__module__)))
            made[key] = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__)
            made[key].__kwdefaults__ = function.__kwdefaults__
            scope["np"] = ArrayModule(xp)
            for name, value in list(scope.items()):
                if isinstance(value, types.FunctionType) and value.__module__ in ours:
                    scope[name] = bound(value)
        return made[key]

    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, types.FunctionType) and value.__module__ == module.__name__ and not name.startswith("_"):
                names[name] = value if xp is np else bound(value)
    return names


@cache
def made_table(kind: str, items: tuple[tuple[str, Any], ...]) -> Any:
    """The table of a sweep: by its kind and the arguments of its maker."""
    arguments = dict(items)
    if kind in ("direct", "direct_wide"):
        bits = 16 if kind == "direct_wide" else 8
        return gate_table(arguments["function"], float(np.float32(arguments["scale"])), arguments.get("zp", 0), bits)
    make = piecewise_linear_table if kind == "piecewise_linear" else piecewise_quadratic_table
    return make(
        arguments["function"],
        exponent_in=arguments["e_in"],
        zero_point_in=arguments["zp_in"],
        fmt_in=IntFormat.parse(arguments["fmt_in"]),
        exponent_out=arguments["e_out"],
        zero_point_out=arguments["zp_out"],
        fmt_out=IntFormat.parse(arguments["fmt_out"]),
    )


def table_of(sweep: Sweep) -> Any:
    """The activation table of a sweep, or None."""
    if sweep.step == "mshift_candidate":
        return made_table("direct", (("function", "tanh"), ("scale", 2.0**-5)))
    if sweep.step in ("direct", "direct_wide", "piecewise_linear", "piecewise_quadratic"):
        return made_table(sweep.step, tuple(sweep.constants.items()))
    return None


def table_on(xp: Any, table: Any) -> Any:
    """The same table with its arrays in xp."""
    if xp is np or table is None:
        return table
    moved = object.__new__(type(table))
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        object.__setattr__(moved, field.name, xp.asarray(value) if isinstance(value, np.ndarray) else value)
    return moved


def pot_operators(sweep: Sweep) -> dict[str, Operator]:
    """The operators of a sweep of datapath P: exponents e_NAME, zero points zp_NAME, all of 8 bits."""
    c = sweep.constants
    formats = {"z": IntFormat(8, False), "r": IntFormat(8, False)}
    return {
        name: Operator(formats.get(name, INT8), int(c[f"e_{name}"]), int(c[f"zp_{name}"]))
        for name in POT_NAMES
        if f"e_{name}" in c
    }


def reals(xp: Any, start: int, stop: int) -> Any:
    """The float32 numbers whose bits are start ... stop - 1."""
    return xp.arange(start, stop, dtype=np.int64).astype(np.uint32).view(np.float32)


def golden_outputs(xp: Any, sweep: Sweep, start: int, stop: int, v: Any = None) -> tuple[Any, ...]:
    """Golden on the inputs start ... stop - 1.

    xp       numpy or cupy
    v        the real inputs, for the steps that take reals
    Returns  an array of the names in sweep.outputs each
    """
    g, c, step = space(xp), sweep.constants, sweep.step
    if v is not None:
        fmt = IntFormat.parse(str(c["fmt"]))
        if step == "quantize":
            return (g["quantize"](v, np.float32(c["scale"]), c["zp"], fmt),)
        return (g["quantize_reciprocal"](v, inverse_scale(sweep), c["zp"], fmt),)
    if step in ("ties_up", "ties_away", "ties_even"):
        return (g[step](xp.arange(start - 2**31, stop - 2**31, dtype=np.int64), c["s"]),)
    if step == "requantize":
        accumulators = xp.arange(start - 2**31, stop - 2**31, dtype=np.int64)
        m = MShift(int(c["M"]), int(c["s"]))
        return (g["requantize"](accumulators, m, c["zp"], IntFormat.parse(str(c["fmt"]))),)
    if step == "direct":
        return (g[step](xp.arange(start - 128, stop - 128, dtype=np.int64), table_on(xp, table_of(sweep))),)
    if step in ("direct_wide", "piecewise_linear", "piecewise_quadratic"):
        return (g[step](xp.arange(start - 32768, stop - 32768, dtype=np.int64), table_on(xp, table_of(sweep))),)
    if step == "matmul":
        first, last = start >> 8, (stop + 255) >> 8
        codes = xp.arange(first - 128, last - 128, dtype=np.int64)[:, None]
        products = g["matmul"](codes, xp.arange(-128, 128, dtype=np.int64)[None, :], c["zp"])
        return (products.reshape(-1)[start - (first << 8) : stop - (first << 8)],)
    return _units(xp, g, sweep, xp.arange(start, stop, dtype=np.int64))


def inverse_scale(sweep: Sweep) -> Any:
    """golden's reciprocal of the scale, as NumPy gives it.  [SPEC Q-2]"""
    return np.float32(space(np)["reciprocal"](np.float32(sweep.constants["scale"])))


def _units(xp: Any, g: dict[str, Any], sweep: Sweep, i: Any) -> tuple[Any, ...]:
    """The steps whose index holds several operands."""
    c = {k: v for k, v in sweep.constants.items() if isinstance(v, int)}
    high, middle, low = i >> 16, ((i >> 8) & 255) - 128, (i & 255) - 128
    if sweep.step == "zoneout_blend":
        return g["zoneout_blend"](xp.where(high == 0, 1 << 15, high), middle, low, c["zp"], INT8)
    if sweep.step == "mshift_hidden":
        shift = c["s"]
        fields = g["mshift_hidden"](high, middle, low, MShift(c["m_gh"], shift), MShift(c["m_one"], shift), c["zp"])
    elif sweep.step == "mshift_candidate":
        table = table_on(xp, table_of(sweep))
        assert isinstance(table, DirectTable)
        bias, m = MShift(c["m_b"], c["s_b"]), {k: MShift(c[k], c["s"]) for k in ("m_rRh", "m_g")}
        at = {k: xp.asarray(c[k], dtype=np.int64) for k in ("Wx", "bx", "br")}
        Rh = (i & (2**25 - 1)) - 2**24
        fields = g["mshift_candidate"](
            at["Wx"], Rh, at["bx"], at["br"], i >> 25, bias, m["m_rRh"], bias, m["m_g"], c["zp"], INT8, table
        )
    else:
        fields = _pot_units(xp, g, sweep, i)
    return tuple(fields[name] for name in sweep.outputs)


def _pot_units(xp: Any, g: dict[str, Any], sweep: Sweep, i: Any) -> Any:
    op, rounding = pot_operators(sweep), Rounding(str(sweep.constants["rounding"]))
    low = (i & 255) - 128
    if sweep.step == "pot_reset_path":
        br, e_br = (xp.asarray(sweep.constants[k], dtype=np.int64) for k in ("br", "e_br"))
        return g["pot_reset_path"](low, br, e_br, i >> 8, op["Rh"], op["A"], op["r"], op["P"], rounding)
    one = g["pot_one"](op["z"], rounding)
    middle = ((i >> 8) & 255) - 128
    return g["pot_hidden"](i >> 16, middle, low, one, op["z"], op["g"], op["h"], op["O"], op["N"], rounding)
