"""Frozen parameter sets of both datapaths.  They validate themselves when built.  [SPEC F, M, G-M, D, G-P]"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from golden.spec import bounds
from golden.spec.arrays import check_shape, checked_int, checked_scale, freeze, int_array, real_array
from golden.spec.errors import ParameterError
from golden.spec.formats import BIAS_BITS, INT8, INT16, INT32, IntFormat
from golden.spec.layout import MULTIPLIERS, OPERATORS, UNSIGNED_OPERATORS, WEIGHT_OPERATORS
from golden.spec.rounding import Rounding
from golden.spec.tables import ACTIVATIONS, Activation, DirectTable

INT32_MIN, INT32_MAX = INT32.qmin, INT32.qmax
MIN_EXPONENT, MAX_EXPONENT = -15, 30
MAX_RRH_MULTIPLIER = 2**24 - 1


@dataclass(frozen=True)
class MShift:
    """A multiplier and a right shift, standing for multiplier * 2**-shift.  [SPEC M-1]"""

    multiplier: int
    shift: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "multiplier", checked_int("multiplier", self.multiplier, 0, INT32_MAX))
        object.__setattr__(self, "shift", checked_int("shift", self.shift, 0, 31))


def _weights(self: Any, read: Any) -> None:
    """Check and freeze W [C,3H], R [H,3H], bx and br [3H]; read(name, shape) gives the checked array."""
    R = np.asarray(self.R)
    if R.ndim != 2 or R.shape[0] < 1 or R.shape[1] != 3 * R.shape[0]:
        raise ParameterError("R", f"an array of shape {list(R.shape)}", "shape [H, 3H] with H > 0")
    hidden = R.shape[0]
    W = np.asarray(self.W)
    if W.ndim != 2 or W.shape[0] < 1 or W.shape[1] != 3 * hidden:
        raise ParameterError("W", f"an array of shape {list(W.shape)}", f"shape [C, {3 * hidden}] with C > 0")
    for name, shape in (("W", (None, 3 * hidden)), ("R", (hidden, 3 * hidden)), ("bx", (3 * hidden,)), ("br", (3 * hidden,))):
        object.__setattr__(self, name, freeze(read(name, shape)))


def _gate_tables(self: Any) -> None:
    """Check the three direct tables of datapath M and the gate input format.  [SPEC A-1, A-2, GM-1, GM-2]"""
    if type(self.gate_bits) is not int or self.gate_bits not in (8, 16):
        raise ParameterError("gate_bits", repr(self.gate_bits), "8 or 16")
    for k in ("z", "r", "g"):
        name = f"table_{k}"
        table = getattr(self, name)
        if not isinstance(table, DirectTable):
            raise ParameterError(name, type(table).__name__, "a DirectTable")
        zero_point = checked_int(f"zp_{k}", getattr(self, f"zp_{k}"), INT32_MIN, INT32_MAX)
        object.__setattr__(self, f"zp_{k}", zero_point)
        if table.fmt_in != self.fmt_pre:
            raise ParameterError(f"{name} fmt_in", str(table.fmt_in), f"{self.fmt_pre}, the gate input format")
        if table.fmt_out != INT8 or table.zero_point_out != 0:
            found = f"{table.fmt_out} with zero point {table.zero_point_out}"
            raise ParameterError(f"{name} output", found, "int8 with zero point 0")
        if self.gate_bits == 16 and zero_point != 0:
            raise ParameterError(f"zp_{k}", zero_point, "0 for a 16-bit gate input")
        if table.zero_point_in != zero_point:
            raise ParameterError(f"{name} zero_point_in", table.zero_point_in, f"zp_{k} = {zero_point}")
        wanted = "tanh" if k == "g" else "sigmoid"
        if table.function != wanted:
            raise ParameterError(f"{name} function", repr(table.function), wanted)
        if k != "g" and int(table.entries.min()) < 0:
            raise ParameterError(f"{name} entries", int(table.entries.min()), "codes in [0, 127]")
    for name in ("s_z", "s_r_gate", "s_g"):
        object.__setattr__(self, name, checked_scale(name, getattr(self, name)))


class _Sizes:
    """C and H of a parameter set, and its states."""

    W: np.ndarray
    R: np.ndarray

    @property
    def input_size(self) -> int:
        return int(self.W.shape[0])

    @property
    def hidden_size(self) -> int:
        return int(self.R.shape[0])


@dataclass(frozen=True, eq=False)
class MShiftParams(_Sizes):
    """A static parameter set of datapath M.  [SPEC G-M]

    W, R        int8 codes [C,3H], [H,3H] (kept as int32), gates z, r, g
    bx, br      int32 [3H]
    s_*         scales, binary32: x, h, weights, biases, gate inputs (s_r_gate is the reset gate's)
    zp_x, zp_h  zero points of x and h; zp_z, zp_r, zp_g of the gate inputs; int32, inside or outside the format
    m_*         the twelve MShifts, given directly; golden.rescale.derive_mshifts makes them from the scales
    table_*     direct tables of the gates, made for the gate's own input scale
    gate_bits   8 or 16, the width of the gate inputs
    reciprocal  whether reals are quantized by Q-2 instead of Q-1
    zp_w, zp_r_weight  zero points of W and R; anything but 0 is refused
    """

    W: np.ndarray
    R: np.ndarray
    bx: np.ndarray
    br: np.ndarray
    s_x: float
    s_h: float
    s_w: float
    s_r: float
    s_bx: float
    s_br: float
    s_z: float
    s_r_gate: float
    s_g: float
    m_Rh_z: MShift
    m_Rh_r: MShift
    m_bx: MShift
    m_br_z: MShift
    m_br_r: MShift
    m_br_g: MShift
    m_z: MShift
    m_r: MShift
    m_g: MShift
    m_rRh: MShift
    m_gh: MShift
    m_one: MShift
    table_z: DirectTable
    table_r: DirectTable
    table_g: DirectTable
    zp_x: int = 0
    zp_h: int = 0
    zp_z: int = 0
    zp_r: int = 0
    zp_g: int = 0
    gate_bits: int = 8
    reciprocal: bool = False
    zp_w: int = 0
    zp_r_weight: int = 0

    datapath = "mshift"
    fmt_x = INT8
    fmt_h = INT8

    @property
    def fmt_pre(self) -> IntFormat:
        """Format of the gate inputs."""
        return INT8 if self.gate_bits == 8 else INT16

    def __post_init__(self) -> None:
        _weights(self, lambda n, s: int_array(n, getattr(self, n), INT8 if n in "WR" else INT32, s))
        for name in ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br"):
            object.__setattr__(self, name, checked_scale(name, getattr(self, name)))
        for name in ("zp_x", "zp_h"):
            object.__setattr__(self, name, checked_int(name, getattr(self, name), INT32_MIN, INT32_MAX))
        for name in ("zp_w", "zp_r_weight"):
            if checked_int(name, getattr(self, name), INT32_MIN, INT32_MAX) != 0:
                raise ParameterError(name, getattr(self, name), "0, weights are symmetric")
        _gate_tables(self)
        for name in MULTIPLIERS:
            if not isinstance(getattr(self, name), MShift):
                raise ParameterError(name, repr(getattr(self, name)), "an MShift")
        if self.m_rRh.multiplier > MAX_RRH_MULTIPLIER:
            raise ParameterError("m_rRh multiplier", self.m_rRh.multiplier, f"at most {MAX_RRH_MULTIPLIER}")
        if not isinstance(self.reciprocal, bool):
            raise ParameterError("reciprocal", repr(self.reciprocal), "true or false")
        bounds.check_mshift(self)


@dataclass(frozen=True, eq=False)
class MShiftDynamicParams(_Sizes):
    """Datapath M with moving ranges: float weights, scales found while running.  [SPEC D]

    W, R, bx, br  float32 [C,3H], [H,3H], [3H], [3H], finite
    s_z, s_r_gate, s_g, zp_z, zp_r, zp_g, gate_bits, table_*  as in MShiftParams
    x_symmetric, h_symmetric  E-3 instead of E-2 for x, for h
    shift, shift_bias  s and s_b of the derived MShifts, 0...31
    reciprocal    whether x is quantized by Q-2 instead of Q-1 (weights and h0 always by Q-1)
    """

    W: np.ndarray
    R: np.ndarray
    bx: np.ndarray
    br: np.ndarray
    s_z: float
    s_r_gate: float
    s_g: float
    table_z: DirectTable
    table_r: DirectTable
    table_g: DirectTable
    zp_z: int = 0
    zp_r: int = 0
    zp_g: int = 0
    gate_bits: int = 8
    x_symmetric: bool = False
    h_symmetric: bool = False
    shift: int = 18
    shift_bias: int = 24
    reciprocal: bool = False

    datapath = "mshift-dynamic"
    fmt_x = INT8
    fmt_h = INT8

    @property
    def fmt_pre(self) -> IntFormat:
        """Format of the gate inputs."""
        return INT8 if self.gate_bits == 8 else INT16

    def __post_init__(self) -> None:
        _weights(self, lambda n, s: real_array(n, getattr(self, n), s))
        _gate_tables(self)
        for name in ("shift", "shift_bias"):
            object.__setattr__(self, name, checked_int(name, getattr(self, name), 0, 31))
        for name in ("x_symmetric", "h_symmetric", "reciprocal"):
            if not isinstance(getattr(self, name), bool):
                raise ParameterError(name, repr(getattr(self, name)), "true or false")
        bounds.check_dynamic(self)


@dataclass(frozen=True, eq=False)
class Operator:
    """Format, exponent and zero point of one operator of datapath P; the scale is 2**-exponent.

    exponent    int in [-15, 30]; for the four weight operators int32 [3H], one per channel
    zero_point  int32; 0 for the weight operators
    """

    fmt: IntFormat
    exponent: int | np.ndarray
    zero_point: int = 0


class Operators(Mapping[str, Operator]):
    """The operators of a parameter set by configuration key; immutable."""

    def __init__(self, items: Mapping[str, Operator]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> Operator:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, eq=False)
class PotParams(_Sizes):
    """A parameter set of datapath P: power-of-two scales, eighteen operators.  [SPEC G-P]

    W, R, bx, br  integer codes [C,3H], [H,3H], [3H], [3H], gates z, r, g, in the formats of their operators
    operators     the eighteen operators of golden.spec.layout.OPERATORS
    act_z, act_r, act_g  activation tables between the gate's pre and out operators
    rounding      TIES_AWAY (R-2) or TIES_EVEN (R-3)
    reciprocal    whether reals are quantized by Q-2 instead of Q-1
    """

    W: np.ndarray
    R: np.ndarray
    bx: np.ndarray
    br: np.ndarray
    operators: Mapping[str, Operator]
    act_z: Activation
    act_r: Activation
    act_g: Activation
    rounding: Rounding = Rounding.TIES_AWAY
    reciprocal: bool = False
    meta: dict[str, Any] = field(default_factory=dict)

    datapath = "pot"

    @property
    def fmt_x(self) -> IntFormat:
        """Format of the input codes."""
        return self.operators["input.x"].fmt

    @property
    def fmt_h(self) -> IntFormat:
        """Format of the state codes."""
        return self.operators["input.h"].fmt

    def __post_init__(self) -> None:
        if self.rounding not in (Rounding.TIES_AWAY, Rounding.TIES_EVEN):
            raise ParameterError("rounding", repr(self.rounding), "TIES_AWAY or TIES_EVEN")
        if not isinstance(self.reciprocal, bool):
            raise ParameterError("reciprocal", repr(self.reciprocal), "true or false")
        missing = [name for name in OPERATORS if name not in self.operators]
        unknown = [name for name in self.operators if name not in OPERATORS]
        if missing or unknown:
            raise ParameterError("operators", f"missing {missing} and unknown {unknown}", "exactly the eighteen operators")
        for name in OPERATORS:
            if not isinstance(self.operators[name], Operator):
                raise ParameterError(name, repr(self.operators[name]), "an Operator")
            if not isinstance(self.operators[name].fmt, IntFormat):
                raise ParameterError(f"{name} format", repr(self.operators[name].fmt), "an IntFormat")
        _weights(self, lambda n, s: int_array(n, getattr(self, n), self.operators[f"weight.{n}"].fmt, s))
        channels = 3 * self.hidden_size
        checked = {name: _checked_operator(name, self.operators[name], channels) for name in OPERATORS}
        object.__setattr__(self, "operators", Operators(checked))
        for k in ("z", "r", "g"):
            self._check_activation(k)
        bounds.check_pot(self)

    def _check_activation(self, k: str) -> None:
        name, table = f"act_{k}", getattr(self, f"act_{k}")
        if type(table) not in ACTIVATIONS.values():
            raise ParameterError(name, type(table).__name__, "a DirectTable, PiecewiseLinear or PiecewiseQuadratic")
        pre, out = self.operators[f"gate.{k}_pre"], self.operators[f"gate.{k}_out"]
        for attribute, wanted in (
            ("function", "tanh" if k == "g" else "sigmoid"),
            ("fmt_in", pre.fmt),
            ("fmt_out", out.fmt),
            ("zero_point_in", pre.zero_point),
            ("zero_point_out", out.zero_point),
        ):
            if getattr(table, attribute) != wanted:
                raise ParameterError(f"{name} {attribute}", str(getattr(table, attribute)), f"{wanted} as the gate has it")
        if isinstance(table, DirectTable) and table.fmt_in.bits > 8:
            raise ParameterError(f"{name} fmt_in", str(table.fmt_in), "a signed format of at most 8 bits")


def _checked_operator(name: str, op: Operator, channels: int) -> Operator:
    """The operator with its fields checked against the clauses."""
    if name in ("weight.bx", "weight.br"):
        if op.fmt.bits not in BIAS_BITS or not op.fmt.signed:
            raise ParameterError(f"{name} format", str(op.fmt), "int8, int16 or int32")
    elif op.fmt.bits > 16:
        raise ParameterError(f"{name} format", str(op.fmt), "2 to 16 bits")
    if name in ("weight.W", "weight.R") and not op.fmt.signed:
        raise ParameterError(f"{name} format", str(op.fmt), "a signed format")
    if name in UNSIGNED_OPERATORS and op.fmt.signed:
        raise ParameterError(f"{name} format", str(op.fmt), "an unsigned format")
    zero_point = checked_int(f"{name} zero_point", op.zero_point, INT32_MIN, INT32_MAX)
    if name in WEIGHT_OPERATORS:
        if zero_point != 0:
            raise ParameterError(f"{name} zero_point", zero_point, "0, weights and biases are symmetric")
        exponents = int_array(f"{name} exponent", op.exponent, INT32, (channels,))
        low, high = int(exponents.min()), int(exponents.max())
        if low < MIN_EXPONENT or high > MAX_EXPONENT:
            channel = int(np.argmax((exponents < MIN_EXPONENT) | (exponents > MAX_EXPONENT)))
            raise ParameterError(
                f"{name} exponent[{channel}]", int(exponents[channel]), f"an exponent in [{MIN_EXPONENT}, {MAX_EXPONENT}]"
            )
        return Operator(op.fmt, freeze(exponents), 0)
    exponent = checked_int(f"{name} exponent", op.exponent, MIN_EXPONENT, MAX_EXPONENT)
    return Operator(op.fmt, exponent, zero_point)


Params = MShiftParams | MShiftDynamicParams | PotParams
PARAMETER_SETS: dict[str, type] = {c.datapath: c for c in (MShiftParams, MShiftDynamicParams, PotParams)}


def same_params(a: Params, b: Params) -> bool:
    """Whether two parameter sets hold the same values, field by field."""
    return type(a) is type(b) and all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if hasattr(a, "__dataclass_fields__") and type(a) is type(b):
        return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def check_input(params: Params, x: Any) -> np.ndarray:
    """x as [T,N,C]: codes of fmt_x (int32) for the static datapaths, float32 for dynamic ranges.

    Raises ParameterError naming x (SPEC F-3). A NaN or inf is found in the time loop, which knows the step (SPEC E-5).
    """
    shape = (None, None, params.input_size)
    if params.datapath != "mshift-dynamic":
        x = int_array("x", x, params.fmt_x, shape)
    else:
        x = np.asarray(x)
        if x.dtype != np.float32:
            raise ParameterError("x", f"an array of {x.dtype}", "float32, ranges are found from real values")
        check_shape("x", x, shape)
    if x.shape[1] < 1:
        raise ParameterError("x", f"an array of shape {list(x.shape)}", "a batch of at least one row")
    return x
