"""Random problems for the C port: raw parameter sets of both static datapaths, tame and wild, legal or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import WidthError
from golden.spec.formats import INT8, INT16, INT32, IntFormat
from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS, UNSIGNED_OPERATORS
from golden.spec.params import MShift, MShiftParams, Operator, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear, PiecewiseQuadratic
from golden.spec.trace import Trace

MSHIFT_SCALES = ("s_x", "s_h", "s_w", "s_r", "s_bx", "s_br", "s_z", "s_r_gate", "s_g")


@dataclass(frozen=True)
class Problem:
    """A parameter set by its raw fields, and a run.  p is the zoneout probability; with a mask the run is training."""

    datapath: str
    fields: dict[str, Any]
    x: np.ndarray
    h0: np.ndarray | None
    mask: np.ndarray | None
    p: float
    reverse: bool

    def golden(self) -> Trace | None:
        """The trace that golden gives; None for a set that is refused because a stage could leave its width."""
        try:
            params = (MShiftParams if self.datapath == "mshift" else PotParams)(**self.fields)
        except WidthError:
            return None
        training = self.mask is not None
        return forward(
            params,
            self.x,
            self.h0,
            mask=self.mask,
            zoneout=0.0 if training else self.p,
            training=training,
            reverse=self.reverse,
        )


def codes(rng: np.random.Generator, fmt: IntFormat, shape: tuple[int, ...]) -> np.ndarray:
    """int32 codes of fmt; one array in three is made of the extremes only."""
    if rng.random() < 1 / 3:
        return rng.choice(np.array([fmt.qmin, fmt.qmax, 0], dtype=np.int32), size=shape)
    return rng.integers(fmt.qmin, fmt.qmax, size=shape, endpoint=True).astype(np.int32)


def draw(datapath: str, seed: int) -> Problem:
    """Problem number seed of a datapath; every third is wild."""
    rng = np.random.default_rng([seed, 7 if datapath == "pot" else 3])
    steps, batch = int(rng.integers(0, 5)), int(rng.integers(1, 4))
    inputs, hidden = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    wild = seed % 3 == 2
    fields = (_mshift if datapath == "mshift" else _pot)(rng, inputs, hidden, wild)
    if datapath == "mshift":
        fmt_x = fmt_h = INT8
    else:
        fmt_x, fmt_h = fields["operators"]["input.x"].fmt, fields["operators"]["input.h"].fmt
    kind = rng.integers(0, 3)
    return Problem(
        datapath,
        fields,
        codes(rng, fmt_x, (steps, batch, inputs)),
        codes(rng, fmt_h, (batch, hidden)) if rng.random() < 0.7 else None,
        rng.integers(0, 2, (steps, batch, hidden)).astype(np.int32) if kind == 1 else None,
        float(rng.choice([0.5, 1.0, 2.0**-20, rng.random(), (2 * rng.integers(0, 2**14) + 1) / 2**16])) if kind == 2 else 0.0,
        bool(rng.integers(0, 2)),
    )


def _ratio(rng: np.random.Generator, low: float, high: float) -> MShift:
    """An MShift near 2**u, u uniform in [low, high]."""
    shift = int(rng.integers(8, 27))
    return MShift(int(2.0 ** (rng.uniform(low, high) + shift)), shift)


def _mshift(rng: np.random.Generator, inputs: int, hidden: int, wild: bool) -> dict[str, Any]:
    bits = int(rng.choice([8, 16]))
    pre = 8 if bits == 16 else 0
    fields: dict[str, Any] = dict.fromkeys(MSHIFT_SCALES, 1.0)
    near = dict.fromkeys(MULTIPLIERS, (-3.0, 1.0)) | {
        "m_z": (pre - 9.0, pre - 6.0),
        "m_r": (pre - 9.0, pre - 6.0),
        "m_g": (pre - 9.0, pre - 6.0),
        "m_rRh": (-8.0, -6.0),
        "m_gh": (-1.0, 1.0),
        "m_one": (-7.5, -6.0),
    }
    for name in MULTIPLIERS:
        most = 2**24 - 1 if name == "m_rRh" else 2**31 - 1
        if wild and rng.random() < 0.5:
            fields[name] = MShift(
                int(rng.choice([most, 0, int(rng.integers(0, most))])), int(rng.choice([0, 31, int(rng.integers(0, 32))]))
            )
        else:
            fields[name] = _ratio(rng, *near[name])
    reach = 2**31 - 1 if wild else 2**13
    for name, low in (("zp_x", 2**31 - 1), ("zp_h", 2**25 // hidden)):
        fields[name] = int(rng.integers(-low, low)) if wild and rng.random() < 0.3 else int(rng.integers(-128, 128))
    for name in ("zp_z", "zp_r", "zp_g"):
        limit = 2**31 - 1 if wild and rng.random() < 0.2 else 20
        fields[name] = 0 if bits == 16 else int(rng.integers(-limit, limit))
    for k in "zrg":
        fields[f"table_{k}"] = _gate_table(rng, k, bits, fields[f"zp_{k}"])
    return fields | {
        "gate_bits": bits,
        "W": codes(rng, INT8, (inputs, 3 * hidden)),
        "R": codes(rng, INT8, (hidden, 3 * hidden)),
        "bx": rng.integers(-reach, reach, 3 * hidden).astype(np.int32),
        "br": rng.integers(-reach, reach, 3 * hidden).astype(np.int32),
    }


def _gate_table(rng: np.random.Generator, k: str, bits: int, zero_point: int) -> DirectTable:
    entries = rng.integers(-128 if k == "g" else 0, 128, 256)
    if rng.random() < 0.5:
        entries = np.sort(entries)
    return (
        DirectTable("tanh" if k == "g" else "sigmoid", entries, INT8, INT8, zero_point)
        if bits == 8
        else DirectTable("tanh" if k == "g" else "sigmoid", entries, INT16, INT8)
    )


def _format(rng: np.random.Generator, name: str) -> IntFormat:
    bits = int(rng.choice([8, 16, int(rng.integers(2, 17))]))
    if name in UNSIGNED_OPERATORS:
        return IntFormat(bits, False)
    return IntFormat(bits, bool(rng.random() < 0.8))


def _pot(rng: np.random.Generator, inputs: int, hidden: int, wild: bool) -> dict[str, Any]:
    channels = 3 * hidden
    ops: dict[str, Operator] = {}
    direct = rng.integers(0, 4, 3) == 0
    for name in SCALAR_OPERATORS:
        fmt = _format(rng, name)
        if name in ("gate.z_pre", "gate.r_pre", "gate.g_pre") and direct["zrg".index(name[5])]:
            fmt = IntFormat(int(rng.choice([8, 8, 5])), True)
        zero_point = int(rng.integers(fmt.qmin, fmt.qmax, endpoint=True)) if rng.random() < 0.6 else 0
        if wild and rng.random() < 0.2:
            zero_point = int(rng.integers(-(2**31), 2**31))
        ops[name] = Operator(fmt, 0, zero_point)
    weight_bits = {name: int(rng.choice([8, 16, 4])) for name in "WR"}
    bias_bits = {name: int(rng.choice([8, 16, 32])) for name in ("bx", "br")}
    exponent = _tame_exponents(rng, ops)
    weights: dict[str, np.ndarray] = {}
    for name, source, target in (("W", "input.x", "matmul.Wx"), ("R", "input.h", "matmul.Rh")):
        drop = weight_bits[name] + ops[source].fmt.bits - ops[target].fmt.bits
        base = exponent[target] - exponent[source] + drop
        weights[name] = np.clip(base + rng.integers(-2, 3, channels), -15, 30)
    for name in ("bx", "br"):
        drop = bias_bits[name] - ops["matmul.Wx"].fmt.bits
        weights[name] = np.clip(exponent["matmul.Wx"] + drop + rng.integers(-1, 4, channels), -15, 30)
    if wild:
        for name in SCALAR_OPERATORS:
            if rng.random() < 0.4:
                exponent[name] = int(rng.choice([-15, 30, -1, int(rng.integers(-15, 31))]))
        weights = {k: rng.integers(-15, 31, channels) if rng.random() < 0.4 else e for k, e in weights.items()}
    ops = {name: Operator(op.fmt, exponent[name], op.zero_point) for name, op in ops.items()}
    for name in "WR":
        ops[f"weight.{name}"] = Operator(IntFormat(weight_bits[name], True), weights[name].astype(np.int32), 0)
    for name in ("bx", "br"):
        ops[f"weight.{name}"] = Operator(IntFormat(bias_bits[name], True), weights[name].astype(np.int32), 0)
    fields: dict[str, Any] = {
        "W": codes(rng, ops["weight.W"].fmt, (inputs, channels)),
        "R": codes(rng, ops["weight.R"].fmt, (hidden, channels)),
        "bx": codes(rng, ops["weight.bx"].fmt, (channels,)),
        "br": codes(rng, ops["weight.br"].fmt, (channels,)),
        "operators": ops,
        "rounding": Rounding.TIES_EVEN if rng.random() < 0.4 else Rounding.TIES_AWAY,
    }
    for k, use_direct in zip("zrg", direct, strict=True):
        fields[f"act_{k}"] = _activation(rng, k, ops[f"gate.{k}_pre"], ops[f"gate.{k}_out"], bool(use_direct), wild)
    return fields


def _tame_exponents(rng: np.random.Generator, ops: dict[str, Operator]) -> dict[str, int]:
    """Exponents at which each operator covers about what the stages before it give."""

    def bits(name: str) -> int:
        return ops[name].fmt.bits

    def near(*wanted: int) -> int:
        return int(np.clip(max(wanted) + rng.integers(-1, 3), -15, 30))

    e = {"input.x": int(rng.integers(2, 12)), "input.h": near(bits("input.h") - 1)}
    e["matmul.Wx"], e["matmul.Rh"] = near(bits("matmul.Wx") - 4), near(bits("matmul.Rh") - 4)
    for k in "zrg":
        e[f"gate.{k}_pre"], e[f"gate.{k}_out"] = near(bits(f"gate.{k}_pre") - 5), near(bits(f"gate.{k}_out") - 1)
    for name, room in (("op.Rh_add_br", 5), ("op.rRh", 5), ("op.old_contrib", 1), ("op.new_contrib", 1)):
        e[name] = near(bits(name) - room)
    return e


def _activation(rng: np.random.Generator, k: str, pre: Operator, out: Operator, direct: bool, wild: bool) -> Activation:
    function = "tanh" if k == "g" else "sigmoid"
    if direct:
        return DirectTable(function, codes(rng, out.fmt, (256,)), pre.fmt, out.fmt, pre.zero_point, out.zero_point)
    quadratic = bool(rng.random() < 0.4)
    count = int(rng.integers(1, 33 if quadratic else 17))
    thresholds = np.sort(rng.integers(pre.fmt.qmin - 1, pre.fmt.qmax + 2, count))
    span = pre.fmt.bits - out.fmt.bits

    def slopes(strength: int) -> tuple[np.ndarray, np.ndarray]:
        """numbers of strength bits, and the shifts that take a product with an input to an output"""
        if wild and rng.random() < 0.4:
            most = 2 ** int(rng.integers(1, 32))
            return rng.integers(-most, most, count), rng.integers(-31, 63, count)
        return rng.integers(-(2**strength), 2**strength, count), np.clip(strength + span + rng.integers(-1, 4, count), -31, 62)

    centre = rng.integers(out.fmt.qmin, out.fmt.qmax + 1, count)
    common: dict[str, Any] = dict(
        function=function,
        thresholds=thresholds,
        fmt_in=pre.fmt,
        fmt_out=out.fmt,
        zero_point_in=pre.zero_point,
        zero_point_out=out.zero_point,
    )
    if not quadratic:
        slope, shift = slopes(int(rng.integers(2, 15)))
        return PiecewiseLinear(slopes=slope, shifts=shift, intercepts=centre, **common)
    c1, n = slopes(int(rng.integers(4, 15)))
    c2, p = slopes(int(rng.integers(4, 15)))
    origins = rng.integers(pre.fmt.qmin, pre.fmt.qmax + 1, count)
    if wild and rng.random() < 0.2:
        origins = rng.integers(INT32.qmin, INT32.qmax, count)
    return PiecewiseQuadratic(origins=origins, c2=c2, p=p, c1=c1, n=n, c0=centre, **common)
