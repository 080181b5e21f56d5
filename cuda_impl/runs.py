"""Runs of each datapath on a target: arrays placed, programs started in order, fields gathered into a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl import cell
from cuda_impl.activation import pack
from cuda_impl.gates import OP_RUN, RUN_ONE, RUN_ROUNDING
from cuda_impl.hidden import pot_one, zoneout_factor
from cuda_impl.launch import Target
from cuda_impl.linear import safe_block
from cuda_impl.rounding import TIES_AWAY, TIES_EVEN
from golden.spec.formats import IntFormat
from golden.spec.layout import MULTIPLIERS, SCALAR_OPERATORS, field_shape, trace_fields
from golden.spec.params import MShiftParams, PotParams
from golden.spec.rounding import Rounding
from golden.spec.trace import RunOptions, Trace


@dataclass(frozen=True)
class Run:
    """What every run needs: the target, the input on it, sizes and options.

    x  on the target: int32 codes [T,N,C], or float32 reals for dynamic ranges
    on_device  whether the fields of a static run stay on the target
    """

    target: Target
    x: Any
    options: RunOptions
    reverse: bool
    inputs: int
    hidden: int
    on_device: bool = False

    @property
    def steps(self) -> int:
        return int(self.x.shape[0])

    @property
    def batch(self) -> int:
        return int(self.x.shape[1])

    @property
    def zoneout_k(self) -> int:
        """The blend factor, or -1 when there is no inference zoneout.  [SPEC Z-2]"""
        return int(zoneout_factor(self.options.zoneout)) if self.options.blend else -1

    def shape(self, axes: str) -> tuple[int, ...]:
        """The shape of a field with these axes."""
        return field_shape(axes, steps=self.steps, batch=self.batch, inputs=self.inputs, hidden=self.hidden)

    def empty(self, axes: str, dtype: str, count: int | None = None) -> Any:
        """An array on the target for one field, or for `count` fields of the same axes."""
        return self.target.empty(((count,) if count is not None else ()) + self.shape(axes), np.dtype(dtype))

    def tail(self, h: Any) -> tuple[Any, Any, Any, Any]:
        """(h, mask, h_zoneout_acc, v): what every cell program ends with; absent ones have no elements."""
        none = (0, 0, 0)
        mask = self.target.put(self.options.mask if self.options.mask is not None else np.zeros(none, np.int32))
        acc = self.empty("TNH", "int64") if self.options.blend else self.target.empty(none, np.int64)
        v = self.empty("TNV", "int32") if self.options.training else self.target.empty(none, np.int32)
        return h, mask, acc, v


def narrow(codes: np.ndarray, fmt: IntFormat) -> np.ndarray:
    """Weight codes in the narrowest type that the format fits."""
    return np.ascontiguousarray(codes, np.int8 if fmt.bits <= 8 else np.int16)


def largest(fmt: IntFormat) -> int:
    """max |q| over the codes of a format."""
    return max(abs(fmt.qmin), abs(fmt.qmax))


def column_sums(run: Run, weights: Any) -> Any:
    """The column sums of weights [K, M] on the target.  [SPEC L-1]"""
    sums = run.target.empty((weights.shape[1],), np.int64)
    run.target.run("sum_columns", 1, weights, sums)
    return sums


def multiply(run: Run, codes: Any, weights: Any, zero_points: Any, rows_per_zero_point: int, block: int, out: Any) -> None:
    """out [T,N,M] = (codes [T,N,K] - zero point) times weights [K,M].  [SPEC L-1]"""
    sums = column_sums(run, weights)
    rows, (length, width) = run.steps * run.batch, weights.shape
    flat, flat_out = codes.reshape(rows, length), out.reshape(rows, width)
    work = length * width
    run.target.run(
        "multiply_rows", rows, flat, weights, sums, zero_points, rows_per_zero_point, block, flat_out, work=work
    )


Groups = tuple[tuple[tuple[str, ...], Any], ...]


def gather(datapath: str, run: Run, found: dict[str, Any], groups: Groups) -> Trace:
    """The trace: fields in layout order, from single arrays and from groups of fields that share one array."""
    get = (lambda array: array) if run.on_device and datapath != "mshift-dynamic" else run.target.get
    fields = {name: get(array) for name, array in found.items()}
    for names, array in groups:
        shared = get(array)
        fields.update((name, shared[i]) for i, name in enumerate(names))
    wanted = trace_fields(datapath, training=run.options.training, zoneout=run.options.blend)
    ordered = {f.name: fields[f.name].reshape(run.shape(f.axes)) for f in wanted}
    return Trace(datapath, ordered, run.reverse)


def first_codes(h0: np.ndarray | None, shape: tuple[int, ...], zero_point: int, fmt: IntFormat) -> np.ndarray:
    """The codes of h[0]; a missing state is the saturated zero point.  [SPEC GP-9]"""
    if h0 is not None:
        return h0
    return np.full(shape, min(max(zero_point, fmt.qmin), fmt.qmax), np.int32)


def mshift_row(p: MShiftParams) -> np.ndarray:
    """The numbers of a static set, int64 [1, COLUMNS], as cell.py lays them out."""
    row = np.zeros((1, cell.COLUMNS), np.int64)
    for i, name in enumerate(MULTIPLIERS):
        m = getattr(p, name)
        row[0, i], row[0, cell.S_RH_Z + i] = m.multiplier, m.shift
    row[0, cell.ZP_X], row[0, cell.ZP_H] = p.zp_x, p.zp_h
    gate_inputs(row, p)
    return row


def gate_inputs(rows: np.ndarray, p: Any) -> None:
    """Zero points and format of the gate inputs into every row."""
    rows[:, cell.ZP_Z], rows[:, cell.ZP_R], rows[:, cell.ZP_G] = p.zp_z, p.zp_r, p.zp_g
    rows[:, cell.PRE_QMIN], rows[:, cell.PRE_QMAX] = p.fmt_pre.qmin, p.fmt_pre.qmax


def run_mshift(p: MShiftParams, run: Run, h0: np.ndarray | None) -> Trace:
    """A static run of datapath M.  [SPEC GM, S]"""
    put, target = run.target.put, run.target
    W, R = put(narrow(p.W, p.fmt_x)), put(narrow(p.R, p.fmt_h))
    Wx, Rh = run.empty("TNG", "int64"), run.empty("TNG", "int64")
    ints = run.empty("TNH", "int32", len(cell.MSHIFT_32))
    longs = run.empty("TNH", "int64", len(cell.MSHIFT_64))
    biases = run.empty("TH", "int32", len(cell.MSHIFT_BIAS))
    h = run.empty("SNH", "int32")
    target.set_row(h, 0, first_codes(h0, run.shape("NH"), p.zp_h, p.fmt_h))
    h, mask, acc, v = run.tail(h)
    if run.steps > 0:
        block = safe_block(128, 128)
        multiply(run, run.x, W, put(np.array([p.zp_x])), run.steps * run.batch, block, Wx)
        tables = [put(pack(t)) for t in (p.table_z, p.table_r, p.table_g)]
        target.run(
            "mshift_rows", run.batch, 0, run.steps, int(run.reverse), 0, run.zoneout_k, block,
            put(mshift_row(p)), R, column_sums(run, R), put(p.bx), put(p.br), *tables,
            Wx, Rh, ints, longs, biases, target.empty((0, 0, 0), np.int32), h, mask, acc, v,
            work=run.steps * run.hidden * (3 * run.hidden + 50),
        )  # fmt: skip
    found = {"x": run.x, "Wx": Wx, "Rh": Rh, "h": h, "h_zoneout_acc": acc, "v": v}
    groups = ((cell.MSHIFT_32, ints), (cell.MSHIFT_64, longs), (cell.MSHIFT_BIAS, biases))
    return gather("mshift", run, used(run, found), groups)


def used(run: Run, found: dict[str, Any]) -> dict[str, Any]:
    """found without the fields that this run does not have."""
    absent = set() if run.options.blend else {"h_zoneout_acc"}
    if not run.options.training:
        absent.add("v")
    return {name: array for name, array in found.items() if name not in absent}


def pot_numbers(p: PotParams) -> np.ndarray:
    """The operators, int64 [15, 4], as gates.py lays them out."""
    rounding = TIES_EVEN if p.rounding is Rounding.TIES_EVEN else TIES_AWAY
    ops = np.zeros((OP_RUN + 1, 4), np.int64)
    for i, name in enumerate(SCALAR_OPERATORS):
        op = p.operators[name]
        ops[i] = op.exponent, op.zero_point, op.fmt.qmin, op.fmt.qmax
    z = p.operators["gate.z_out"]
    ops[OP_RUN, RUN_ROUNDING], ops[OP_RUN, RUN_ONE] = rounding, pot_one(z.exponent, z.zero_point, rounding)
    return ops


def run_pot(p: PotParams, run: Run, h0: np.ndarray | None) -> Trace:
    """A run of datapath P.  [SPEC GP, S]"""
    put, target = run.target.put, run.target
    fmts = {name: p.operators[f"weight.{name}"].fmt for name in "WR"}
    W, R = put(narrow(p.W, fmts["W"])), put(narrow(p.R, fmts["R"]))
    exponents = [put(np.asarray(p.operators[f"weight.{k}"].exponent, np.int64)) for k in ("W", "R", "bx", "br")]
    ops = pot_numbers(p)
    Wx_acc, Rh_acc = run.empty("TNG", "int64"), run.empty("TNG", "int64")
    Wx, Rh = run.empty("TNG", "int32"), run.empty("TNG", "int32")
    ints = run.empty("TNH", "int32", len(cell.POT_32))
    longs = run.empty("TNH", "int64", len(cell.POT_64))
    biases = run.empty("TH", "int64", len(cell.POT_BIAS))
    h = run.empty("SNH", "int32")
    target.set_row(h, 0, first_codes(h0, run.shape("NH"), p.operators["input.h"].zero_point, p.fmt_h))
    h, mask, acc, v = run.tail(h)
    if run.steps > 0:
        zp_x = put(np.array([p.operators["input.x"].zero_point]))
        block = safe_block(largest(fmts["W"]), largest(p.fmt_x))
        multiply(run, run.x, W, zp_x, run.steps * run.batch, block, Wx_acc)
        tables = [put(pack(t)) for t in (p.act_z, p.act_r, p.act_g)]
        target.run(
            "pot_rows", run.batch, 0, run.steps, int(run.reverse), run.zoneout_k,
            safe_block(largest(fmts["R"]), largest(p.fmt_h)),
            put(ops), *exponents, R, column_sums(run, R), put(p.bx), put(p.br), *tables,
            Wx_acc, Wx, Rh_acc, Rh, ints, longs, biases, h, mask, acc, v,
            work=run.steps * run.hidden * (3 * run.hidden + 50),
        )  # fmt: skip
    found = {
        "x": run.x, "one": np.asarray(ops[OP_RUN, RUN_ONE]), "Wx_acc": Wx_acc, "Wx": Wx, "Rh_acc": Rh_acc, "Rh": Rh,
        "h": h, "h_zoneout_acc": acc, "v": v,
    }  # fmt: skip
    return gather("pot", run, used(run, found), ((cell.POT_32, ints), (cell.POT_64, longs), (cell.POT_BIAS, biases)))
