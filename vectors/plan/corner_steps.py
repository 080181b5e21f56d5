"""Rows of single steps that meet what the other cases of the steps leave out.  Like the corner runs they need no seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from golden.spec.formats import INT8, UINT8
from golden.spec.params import Operator
from golden.spec.tables import Activation
from golden.tables import pot_table
from vectors.draw import Draw
from vectors.plan.corner_sets import wild_line, wild_parabola
from vectors.plan.planned import BOTH, M_ONLY, P_ONLY, Plan, Planned, fmt_constants, step
from vectors.steps import to_bits

Rows = Callable[[Draw], Mapping[str, Any]]
PRE, OUT = Operator(INT8, 4, 3), Operator(INT8, 7, -5)


def cases() -> Plan:
    """align, quantize_bias, piecewise_linear, piecewise_quadratic, mshift_hidden, pot_reset_path, pot_candidate, pot_hidden."""
    yield _case("align", "corners", M_ONLY, "Every dropped part on both sides of both ends.", {"M": 13, "s": 3}, _align)
    yield _case("quantize_bias", "corners", BOTH, "Every dropped part beyond both ends of int8.", fmt_constants(INT8), _bias)
    for name, make, numbers in (("piecewise_linear", wild_line, (3,)), ("piecewise_quadratic", wild_parabola, (158, 142))):
        for number in numbers:
            table = partial(_table, make, name, number)
            constants = {**fmt_constants(INT8, "_in"), **fmt_constants(INT8, "_out")}
            if name == "piecewise_linear":
                constants = {"zp_in": PRE.zero_point, **constants}
            comment = "Every code through segments with shifts of every sign, results on both sides of the format."
            yield _case(name, f"corners-{number}", P_ONLY, comment, constants, _every, table)
    constants = {"M_gh": 2**31 - 1, "s_gh": 0, "M_one": 2064, "s_one": 18, "zp": 3}
    yield _case("mshift_hidden", "corners", M_ONLY, "An aligned candidate beyond both ends of int32.", constants, _candidate)
    for even in (0, 1):
        rounding = "even" if even else "away"
        rs = {"ties_even": even}
        constants = {**_op("Rh", INT8, 6, -4), **_op("A", INT8, 5, 2), **_op("r", UINT8, 7, 1), **_op("P", INT8, 9, 7), **rs}
        comment = f"ties {rounding}: every tie of the product."
        yield _case("pot_reset_path", f"corners-{rounding}", P_ONLY, comment, constants, _product)
        constants = {**_op("Wx", INT8, 7, 9), **_op("P", INT8, 6, -3), **_op("pre", INT8, 4, 2)}
        constants |= {**fmt_constants(INT8, "_out"), **rs}
        table = partial(pot_table, "tanh", "piecewise_linear", Operator(INT8, 4, 2), Operator(INT8, 7, 0))
        comment = f"ties {rounding}: every tie of the terms."
        yield _case("pot_candidate", f"corners-{rounding}", P_ONLY, comment, constants, _terms, table)
    ops = (("z", UINT8, 7, 300), ("g", INT8, 7, 0), ("h", INT8, 7, 5), ("O", INT8, 7, 0), ("N", INT8, 7, 0))
    constants = {k: v for op in ops for k, v in _op(*op).items()} | {"ties_even": 0}
    yield _case("pot_hidden", "corners", P_ONLY, "The zero point of the update gate above its format.", constants, _hidden)


def _case(
    name: str, part: str, datapaths: tuple[str, ...], comment: str, constants: dict[str, int], rows: Rows, table: Any = None
) -> Planned:
    def fixed(draw: Draw) -> Mapping[str, Any]:
        return rows(Draw(0, f"corner step {name} {part}"))

    return step(name, part, 1, datapaths, comment, constants, fixed, table)


def _table(make: Callable[..., Activation], name: str, number: int) -> Activation:
    return make(Draw(0, f"corner table {name} {number}"), "tanh", PRE, OUT)


def _every(draw: Draw) -> dict[str, np.ndarray]:
    return {"q": np.arange(-128, 128)}


def _op(k: str, fmt: Any, exponent: int, zero_point: int) -> dict[str, int]:
    return {**fmt_constants(fmt, f"_{k}"), f"e_{k}": exponent, f"zp_{k}": zero_point}


def _align(draw: Draw) -> dict[str, np.ndarray]:
    end = (2**31 << 3) // 13
    around = np.arange(-20, 21)
    return {"v": np.concatenate([around, end + around, -end + around, np.array([-(2**31), 2**31 - 1])])}


def _bias(draw: Draw) -> dict[str, np.ndarray]:
    codes = np.concatenate([c + np.arange(-12, 13) / 4 + e for c in (-140, -128, 0, 127, 140) for e in (0, 1 / 16)])
    return {"b": to_bits((codes / 64).astype(np.float32)), "scale": to_bits(np.full(len(codes), 1 / 64, np.float32))}


def _candidate(draw: Draw) -> dict[str, np.ndarray]:
    """z*(h - zp) brings the sum back into int32."""
    z = np.array([126, 126, 126, 125, 0, 127, 126, 1])
    g = np.array([1, -2, 2, -3, 0, 127, -1, 0])
    h = np.array([3, 4, 2, 127, 9, 127, 3, -128])
    return {"z": z, "g": g, "h": h}


def _product(draw: Draw) -> dict[str, np.ndarray]:
    count = 96
    r, Rh = draw.integers(0, 24, count), draw.mixed(8, True, count)
    return {"Rh": Rh, "br": draw.integers(-60, 60, count), "e_br": draw.integers(4, 7, count), "r": r}


def _terms(draw: Draw) -> dict[str, np.ndarray]:
    count = 96
    columns = {"Wx": draw.mixed(8, True, count), "P": draw.mixed(8, True, count)}
    return columns | {"bx": draw.integers(-60, 60, count), "e_bx": draw.integers(3, 7, count)}


def _hidden(draw: Draw) -> dict[str, np.ndarray]:
    count = 48
    return {"z": draw.mixed(8, False, count), "g": draw.mixed(8, True, count), "h": draw.mixed(8, True, count)}


