"""The steps that a hardware team builds one by one, as pure functions of integer columns.

A step has constants (one value a case: multipliers, shifts, zero points, formats), possibly a table, input columns and
output columns (one value a row). Reals travel as the 32 bits of a binary32 number. `run` calls golden; nothing is computed
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden import activation, gates, hidden, linear, quantize, ranges, rescale, rounding
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShift, Operator
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation

Columns = dict[str, np.ndarray]
Constants = Mapping[str, int]


@dataclass(frozen=True)
class Column:
    """One operand or result.

    name    of the trace field or the clause's symbol
    bits    width in two's complement (plain binary when unsigned), or the name of the constant that gives it
    signed  whether it is signed, or the name of the constant that says so
    kind    "int", or "float32" for the bit pattern of a binary32 number
    vector  whether a row holds K values instead of one
    """

    name: str
    bits: int | str
    signed: bool | str
    kind: str = "int"
    vector: bool = False

    def width(self, constants: Constants) -> int:
        """Width in bits under the constants of a case."""
        return self.bits if isinstance(self.bits, int) else int(constants[self.bits])

    def is_signed(self, constants: Constants) -> bool:
        """Signedness under the constants of a case."""
        return self.signed if isinstance(self.signed, bool) else bool(constants[self.signed])


@dataclass(frozen=True)
class Step:
    """A step: its clause, what goes in, what comes out.

    constants  the constants of a case, each with its width
    inputs     one value (or K values) a row
    outputs    likewise
    run        (constants, table, inputs) -> outputs, int64 columns
    table      kind of the activation table it reads, or None; "any" for a gate of datapath P
    """

    name: str
    clause: str
    constants: tuple[Column, ...]
    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
    run: Callable[[Constants, Any, Columns], Columns]
    table: str | None = None


def i(name: str, bits: int | str = 32, signed: bool | str = True) -> Column:
    """An integer column."""
    return Column(name, bits, signed)


def f(name: str) -> Column:
    """The bit pattern of a binary32 number."""
    return Column(name, 32, False, "float32")


def to_bits(values: Any) -> np.ndarray:
    """binary32 numbers as their bit patterns, int64."""
    return np.asarray(values, np.float32).view(np.uint32).astype(np.int64)


def to_reals(bits: Any) -> np.ndarray:
    """Bit patterns as binary32 numbers."""
    return np.asarray(bits, np.int64).astype(np.uint32).view(np.float32)


def _fmt(c: Constants, suffix: str = "") -> IntFormat:
    return IntFormat(int(c["bits" + suffix]), bool(c["signed" + suffix]))


def _m(c: Constants, suffix: str = "") -> MShift:
    return MShift(int(c["M" + suffix]), int(c["s" + suffix]))


def _op(c: Constants, k: str) -> Operator:
    return Operator(_fmt(c, f"_{k}"), int(c[f"e_{k}"]), int(c[f"zp_{k}"]))


def _rs(c: Constants) -> Rounding:
    return Rounding.TIES_EVEN if c["ties_even"] else Rounding.TIES_AWAY


FMT = (i("bits", 6, False), i("signed", 1, False))
M = (i("M", 32, False), i("s", 5, False))
ZP = (i("zp"),)
RS = (i("ties_even", 1, False),)
PRE = (i("zp_pre"), i("bits_pre", 6, False), i("signed_pre", 1, False))
OUT = (i("bits_out", 6, False), i("signed_out", 1, False))


def _m_of(k: str) -> tuple[Column, Column]:
    return i(f"M_{k}", 32, False), i(f"s_{k}", 5, False)


def _op_of(k: str) -> tuple[Column, ...]:
    return i(f"bits_{k}", 6, False), i(f"signed_{k}", 1, False), i(f"e_{k}", 6), i(f"zp_{k}")


def _code(name: str, k: str) -> Column:
    return i(name, f"bits_{k}", f"signed_{k}")


def _renamed(fields: Columns, k: str) -> Columns:
    return {"gate" if name == k else name.removeprefix(f"{k}_"): value for name, value in fields.items()}


def _range_step(c: Constants, x: Columns, make: Callable[..., tuple[float, int]]) -> Columns:
    pairs = [make(lo, hi, _fmt(c)) for lo, hi in zip(to_reals(x["rmin"]), to_reals(x["rmax"]), strict=True)]
    return {"scale": to_bits([p[0] for p in pairs]), "zp_out": np.array([p[1] for p in pairs], np.int64)}


def _ema(c: Constants, t: Any, x: Columns) -> Columns:
    columns = (to_reals(x[name]) for name in ("rmin", "rmax", "cmin", "cmax"))
    pairs = np.array([ranges.ema(*row) for row in zip(*columns, strict=True)], np.float32).reshape(-1, 2)
    return {"rmin_out": to_bits(pairs[:, 0]), "rmax_out": to_bits(pairs[:, 1])}


def _derive(c: Constants, t: Any, x: Columns) -> Columns:
    pairs = zip(to_reals(x["s_from"]), to_reals(x["s_to"]), strict=True)
    values = [rescale.derive(a, b, int(c["s"]), int(c["limit"]), saturating=True).multiplier for a, b in pairs]
    return {"M": np.array(values, np.int64)}


def _quantize_reciprocal(c: Constants, t: Any, x: Columns) -> Columns:
    inverse = quantize.reciprocal(to_reals(x["scale"]))
    q = quantize.quantize_reciprocal(to_reals(x["v"]), inverse, c["zp"], _fmt(c))
    return {"inv_scale": to_bits(inverse), "q": q}


def _linear(c: Constants, t: Any, x: Columns) -> Columns:
    rows = [linear.matmul(codes, w[:, None], int(c["zp"]))[0] for codes, w in zip(x["codes"], x["weights"], strict=True)]
    return {"acc": np.array(rows, np.int64)}


def _mshift_gate(c: Constants, t: Any, x: Columns) -> Columns:
    m_Rh, m_bx, m_br, m_pre = (_m(c, k) for k in ("_Rh", "_bx", "_br", "_pre"))
    zp, fmt = int(c["zp_pre"]), _fmt(c, "_pre")
    out = gates.mshift_gate("z", x["Wx"], x["Rh"], x["bx"], x["br"], m_Rh, m_bx, m_br, m_pre, zp, fmt, t)
    return _renamed(out, "z")


def _mshift_candidate(c: Constants, t: Any, x: Columns) -> Columns:
    m_br, m_rRh, m_bx, m_pre = (_m(c, k) for k in ("_br", "_rRh", "_bx", "_pre"))
    zp, fmt = int(c["zp_pre"]), _fmt(c, "_pre")
    out = gates.mshift_candidate(x["Wx"], x["Rh"], x["bx"], x["br"], x["r"], m_br, m_rRh, m_bx, m_pre, zp, fmt, t)
    return _renamed(out, "g")


def _mshift_hidden(c: Constants, t: Any, x: Columns) -> Columns:
    return hidden.mshift_hidden(x["z"], x["g"], x["h"], _m(c, "_gh"), _m(c, "_one"), int(c["zp"]))


def _pot_gate(c: Constants, t: Any, x: Columns) -> Columns:
    Wx, Rh, pre = (_op(c, k) for k in ("Wx", "Rh", "pre"))
    out = gates.pot_gate("z", x["Wx"], x["Rh"], x["bx"], x["br"], x["e_bx"], x["e_br"], Wx, Rh, pre, t, _rs(c))
    return _renamed(out, "z")


def _pot_reset_path(c: Constants, t: Any, x: Columns) -> Columns:
    Rh, A, r, P = (_op(c, k) for k in ("Rh", "A", "r", "P"))
    return gates.pot_reset_path(x["Rh"], x["br"], x["e_br"], x["r"], Rh, A, r, P, _rs(c))


def _pot_candidate(c: Constants, t: Any, x: Columns) -> Columns:
    Wx, P, pre = (_op(c, k) for k in ("Wx", "P", "pre"))
    return _renamed(gates.pot_candidate(x["Wx"], x["P"], x["bx"], x["e_bx"], Wx, P, pre, t, _rs(c)), "g")


def _pot_hidden(c: Constants, t: Any, x: Columns) -> Columns:
    z, g, h, old, new = (_op(c, k) for k in ("z", "g", "h", "O", "N"))
    one = hidden.pot_one(z, _rs(c))
    out = hidden.pot_hidden(x["z"], x["g"], x["h"], one, z, g, h, old, new, _rs(c))
    return {"one": np.full(x["z"].shape, int(one), np.int64)} | out


def _zoneout_blend(c: Constants, t: Any, x: Columns) -> Columns:
    acc, h = hidden.zoneout_blend(int(c["k"]), x["h_prev"], x["h_new"], int(c["zp"]), _fmt(c))
    return {"acc": acc, "h": h}


_Q = i("q", "bits", "signed")
_POT_TAIL = (i("acc", 64), _code("pre", "pre"), _code("gate", "out"))

STEPS: dict[str, Step] = {
    s.name: s
    for s in (
        Step("saturate", "F-2", FMT, (i("v", 64),), (_Q,),
             lambda c, t, x: {"q": rounding.saturate(x["v"], _fmt(c))}),
        Step("ties_up", "R-1", (), (i("x", 64), i("s", 8, False)), (i("y", 64),),
             lambda c, t, x: {"y": rounding.ties_up(x["x"], x["s"])}),
        Step("ties_away", "R-2", (), (i("x", 64), i("s", 8)), (i("y", 64),),
             lambda c, t, x: {"y": rounding.ties_away(x["x"], x["s"])}),
        Step("ties_even", "R-3", (), (i("x", 64), i("s", 8)), (i("y", 64),),
             lambda c, t, x: {"y": rounding.ties_even(x["x"], x["s"])}),
        Step("quantize", "Q-1", (*ZP, *FMT), (f("v"), f("scale")), (_Q,),
             lambda c, t, x: {"q": quantize.quantize(to_reals(x["v"]), to_reals(x["scale"]), c["zp"], _fmt(c))}),
        Step("quantize_reciprocal", "Q-2", (*ZP, *FMT), (f("v"), f("scale")), (f("inv_scale"), _Q), _quantize_reciprocal),
        Step("dequantize", "Q-3", ZP, (i("q", 17), f("scale")), (f("v"),),
             lambda c, t, x: {"v": to_bits(quantize.dequantize(x["q"], to_reals(x["scale"]), c["zp"]))}),
        Step("quantize_bias", "Q-4", FMT, (f("b"), f("scale")), (_Q,),
             lambda c, t, x: {"q": quantize.quantize_bias(to_reals(x["b"]), to_reals(x["scale"]), _fmt(c))}),
        Step("derive", "M-2", (i("s", 5, False), i("limit", 32, False)), (f("s_from"), f("s_to")), (i("M", 32, False),),
             _derive),
        Step("apply", "M-3", M, (i("v"),), (i("y", 64),), lambda c, t, x: {"y": rescale.apply(x["v"], _m(c))}),
        Step("align", "M-4", M, (i("v"),), (i("y"),), lambda c, t, x: {"y": rescale.align(x["v"], _m(c))}),
        Step("requantize", "M-5", (*M, *ZP, *FMT), (i("v"),), (_Q,),
             lambda c, t, x: {"q": rescale.requantize(x["v"], _m(c), c["zp"], _fmt(c))}),
        Step("ema", "E-1", (), (f("rmin"), f("rmax"), f("cmin"), f("cmax")), (f("rmin_out"), f("rmax_out")), _ema),
        Step("asymmetric", "E-2", FMT, (f("rmin"), f("rmax")), (f("scale"), i("zp_out")),
             lambda c, t, x: _range_step(c, x, ranges.asymmetric)),
        Step("symmetric", "E-3", FMT, (f("rmin"), f("rmax")), (f("scale"), i("zp_out")),
             lambda c, t, x: _range_step(c, x, ranges.symmetric)),
        Step("linear", "L-1", ZP, (Column("codes", 17, True, vector=True), Column("weights", 16, True, vector=True)),
             (i("acc", 64),), _linear),
        Step("direct", "A-1", OUT, (i("q", 8),), (_code("y", "out"),),
             lambda c, t, x: {"y": activation.direct(x["q"], t)}, "direct"),
        Step("direct_wide", "A-2", OUT, (i("q", 16),), (_code("y", "out"),),
             lambda c, t, x: {"y": activation.direct_wide(x["q"], t)}, "direct"),
        Step("piecewise_linear", "A-3", (i("zp_in"), i("bits_in", 6, False), i("signed_in", 1, False), *OUT),
             (i("q"),), (_code("y", "out"),),
             lambda c, t, x: {"y": activation.piecewise_linear(x["q"], t)}, "piecewise_linear"),
        Step("piecewise_quadratic", "A-4", (i("bits_in", 6, False), i("signed_in", 1, False), *OUT),
             (i("q"),), (_code("y", "out"),),
             lambda c, t, x: {"y": activation.piecewise_quadratic(x["q"], t)}, "piecewise_quadratic"),
        Step("mshift_gate", "GM-1", (*_m_of("Rh"), *_m_of("bx"), *_m_of("br"), *_m_of("pre"), *PRE),
             (i("Wx", 48), i("Rh"), i("bx"), i("br")),
             (i("Rh_aligned"), i("bx_aligned"), i("br_aligned"), i("acc", 64), i("a"), _code("pre", "pre"), i("gate", 8)),
             _mshift_gate, "direct"),
        Step("mshift_candidate", "GM-2", (*_m_of("br"), *_m_of("rRh"), *_m_of("bx"), *_m_of("pre"), *PRE),
             (i("Wx", 48), i("Rh"), i("bx"), i("br"), i("r", 8)),
             (i("br_aligned"), i("b_acc", 64), i("b"), i("rb", 64), i("c"), i("bx_aligned"), i("acc", 64), i("a"),
              _code("pre", "pre"), i("gate", 8)), _mshift_candidate, "direct"),
        Step("mshift_hidden", "GM-3", (*_m_of("gh"), *_m_of("one"), *ZP), (i("z", 8), i("g", 8), i("h", 8)),
             (i("n_acc"), i("n"), i("S", 64), i("h_new", 8)), _mshift_hidden),
        Step("pot_gate", "GP-2", (*_op_of("Wx"), *_op_of("Rh"), *_op_of("pre"), *OUT, *RS),
             (_code("Wx", "Wx"), _code("Rh", "Rh"), i("bx"), i("br"), i("e_bx", 6), i("e_br", 6)),
             (i("Wx_aligned", 64), i("Rh_aligned", 64), i("bx_aligned", 64), i("br_aligned", 64), *_POT_TAIL),
             _pot_gate, "any"),
        Step("pot_reset_path", "GP-3, GP-4", (*_op_of("Rh"), *_op_of("A"), *_op_of("r"), *_op_of("P"), *RS),
             (_code("Rh", "Rh"), i("br"), i("e_br", 6), _code("r", "r")),
             (i("A_Rh_aligned", 64), i("A_br_aligned", 64), i("A_acc", 64), _code("A", "A"), i("P_prod", 64), i("P_acc", 64),
              _code("P", "P")), _pot_reset_path),
        Step("pot_candidate", "GP-5", (*_op_of("Wx"), *_op_of("P"), *_op_of("pre"), *OUT, *RS),
             (_code("Wx", "Wx"), _code("P", "P"), i("bx"), i("e_bx", 6)),
             (i("Wx_aligned", 64), i("P_aligned", 64), i("bx_aligned", 64), *_POT_TAIL), _pot_candidate, "any"),
        Step("pot_hidden", "GP-6, GP-7, GP-8",
             (*_op_of("z"), *_op_of("g"), *_op_of("h"), *_op_of("O"), *_op_of("N"), *RS),
             (_code("z", "z"), _code("g", "g"), _code("h", "h")),
             (i("one", 64), i("O_prod", 64), i("O_acc", 64), _code("O", "O"), i("N_prod", 64), i("N_acc", 64), _code("N", "N"),
              i("h_O_aligned", 64), i("h_N_aligned", 64), i("h_acc", 64), _code("h_new", "h")), _pot_hidden),
        Step("zoneout_blend", "Z-2", (i("k", 16, False), *ZP, *FMT),
             (i("h_prev", "bits", "signed"), i("h_new", "bits", "signed")), (i("acc", 64), i("h", "bits", "signed")),
             _zoneout_blend),
        Step("zoneout_mask", "Z-1", FMT, (i("mask", 1, False), i("h_prev", "bits", "signed"), i("h_new", "bits", "signed")),
             (i("h", "bits", "signed"),),
             lambda c, t, x: {"h": hidden.zoneout_mask(x["mask"], x["h_prev"], x["h_new"])}),
    )
}  # fmt: skip
"""Every step by name."""


def run_step(name: str, constants: Constants, inputs: Mapping[str, Any], table: Activation | None = None) -> Columns:
    """The outputs of a step, from golden.

    constants  integers by the names of Step.constants
    inputs     integers [rows] (or [rows, K]) by the names of Step.inputs, each inside its column's width
    table      for the steps that read one
    Returns    int64 columns by the names of Step.outputs
    Raises     ParameterError naming the first column that is missing, unknown or out of its width
    """
    step = STEPS.get(name)
    if step is None:
        raise ParameterError("step", repr(name), f"one of {', '.join(STEPS)}")
    _check_names(f"{name} constants", constants, step.constants)
    _check_names(f"{name} inputs", inputs, step.inputs)
    for column in step.constants:
        _check_width(f"{name} {column.name}", constants[column.name], column, constants)
    for column in step.inputs:
        _check_width(f"{name} {column.name}", inputs[column.name], column, constants)
    if (table is None) != (step.table is None):
        raise ParameterError(f"{name} table", "missing" if table is None else "given", f"{step.table or 'no'} table")
    out = step.run(constants, table, {column.name: np.asarray(inputs[column.name], np.int64) for column in step.inputs})
    return {column.name: np.asarray(out[column.name], np.int64) for column in step.outputs}


def _check_names(what: str, given: Mapping[str, Any], wanted: tuple[Column, ...]) -> None:
    names = [column.name for column in wanted]
    if sorted(given) != sorted(names):
        raise ParameterError(what, f"{sorted(given)}", f"{names}")


def _check_width(what: str, values: Any, column: Column, constants: Constants) -> None:
    array = np.asarray(values)
    if array.dtype.kind not in "iu":
        raise ParameterError(what, f"an array of {array.dtype}", "integers")
    bits, signed = column.width(constants), column.is_signed(constants)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if array.size and (int(array.min()) < low or int(array.max()) > high):
        bad = int(array.min()) if int(array.min()) < low else int(array.max())
        raise ParameterError(what, bad, f"{bits} bits, {'signed' if signed else 'unsigned'}")
