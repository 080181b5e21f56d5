"""Building the C port and calling it: through ctypes, and through the text files of its harness."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from ctypes import c_int32, c_uint32, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.spec.layout import FIELDS, MULTIPLIERS, TraceField, field_shape
from golden.spec.rounding import Rounding
from golden.spec.tables import DirectTable, PiecewiseLinear
from tests.examples.c_problems import Problem

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "c"
LIBRARY = ("qgru_steps.c", "qgru_mshift.c", "qgru_pot.c", "qgru_check.c")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
OK, ENULL, ESIZE, EPARAM, EWIDTH, ECODE = 0, -1, -2, -3, -4, -5

OPERATOR_NAMES = {
    "input.x": "x",
    "input.h": "h",
    "matmul.Wx": "Wx",
    "matmul.Rh": "Rh",
    "gate.z_pre": "z_pre",
    "gate.z_out": "z_out",
    "gate.r_pre": "r_pre",
    "gate.r_out": "r_out",
    "gate.g_pre": "g_pre",
    "gate.g_out": "g_out",
    "op.Rh_add_br": "A",
    "op.rRh": "P",
    "op.old_contrib": "O",
    "op.new_contrib": "N",
}
TABLE_ARRAYS = ("entries", "thresholds", "slopes", "shifts", "intercepts", "origins", "c2", "p", "c1", "n", "c0")


def _ints(*names: str) -> list[tuple[str, Any]]:
    return [(name, c_int32) for name in names]


def _pointers(*names: str) -> list[tuple[str, Any]]:
    return [(name, c_void_p) for name in names]


class Format(ctypes.Structure):
    _fields_ = _ints("qmin", "qmax")


class MShiftPair(ctypes.Structure):
    _fields_ = _ints("multiplier", "shift")


class Operator(ctypes.Structure):
    _fields_ = [("fmt", Format), *_ints("exponent", "zero_point")]


class ChannelOperator(ctypes.Structure):
    _fields_ = [("fmt", Format), ("exponent", c_void_p)]


class Activation(ctypes.Structure):
    _fields_ = [
        *_ints("kind", "segments"), ("fmt_in", Format), ("fmt_out", Format), *_ints("zero_point_in"), *_pointers(*TABLE_ARRAYS)
    ]  # fmt: skip


class MShiftSet(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        *_ints("inputs", "hidden", "gate_bits", "zp_x", "zp_h", "zp_z", "zp_r", "zp_g"),
        *((name, MShiftPair) for name in MULTIPLIERS),
        *_pointers("W", "R", "bx", "br", "table_z", "table_r", "table_g"),
    ]


class PotSet(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        *_ints("inputs", "hidden", "rounding"),
        *_pointers("W", "R", "bx", "br"),
        *((f"weight_{name}", ChannelOperator) for name in ("W", "R", "bx", "br")),
        *((name, Operator) for name in OPERATOR_NAMES.values()),
        *((f"act_{k}", Activation) for k in "zrg"),
    ]


class Zoneout(ctypes.Structure):
    _fields_ = [*_ints("kind", "k"), ("mask", c_void_p)]


class Run(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32), *_ints("steps", "batch", "reverse"), ("zoneout", Zoneout), *_pointers("x", "h0", "h")
    ]  # fmt: skip


def trace_fields(datapath: str) -> tuple[TraceField, ...]:
    """The fields of the C trace struct: those of the layout but h, which a run has of its own."""
    return tuple(f for f in FIELDS[datapath] if f.name != "h")


TRACES = {
    datapath: type("Trace", (ctypes.Structure,), {"_fields_": _pointers(*(f.name for f in trace_fields(datapath)))})
    for datapath in ("mshift", "pot")
}
STRUCTS = (MShiftSet, PotSet, Run, TRACES["mshift"], TRACES["pot"])  # in the order of qgru_struct_size


def gcc() -> str:
    """Path of gcc; the test is skipped without it."""
    found = shutil.which("gcc")
    if found is None:
        pytest.skip("gcc is missing: install the Debian package gcc")
    return found


def build(target: Path, *flags: str, source: Path = SOURCE, harness: bool = False) -> Path:
    """The shared library, or the harness, made from the sources with these flags."""
    files = [str(source / name) for name in (*LIBRARY, *(("qgru_harness.c",) if harness else ()))]
    kind = () if harness else ("-shared", "-fPIC")
    done = subprocess.run([gcc(), *WARNINGS, *flags, *kind, "-o", str(target), *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def load(path: Path) -> ctypes.CDLL:
    """The library, its structs as large as those of this module."""
    library = ctypes.CDLL(str(path))
    assert library.qgru_abi_version() == 1
    assert [library.qgru_struct_size(i) for i in range(6)] == [*map(ctypes.sizeof, STRUCTS), 0]
    for name in ("qgru_ties_up", "qgru_ties_away", "qgru_ties_even"):
        function = getattr(library, name)
        function.restype, function.argtypes = ctypes.c_int64, [ctypes.c_int64, c_int32]
    return library


class Call:
    """A problem as the structs of the C ABI; the object keeps alive every array that they point to."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.kept: list[np.ndarray] = []
        fields = problem.fields
        self.steps, self.batch, self.inputs = problem.x.shape
        self.hidden = fields["R"].shape[0]
        self.params = self._mshift(fields) if problem.datapath == "mshift" else self._pot(fields)
        kind = 1 if problem.mask is not None else 2 if problem.p > 0 else 0
        zoneout = Zoneout(kind, zoneout_code(problem.p), None if problem.mask is None else self.pointer(problem.mask))
        self.h = np.full((self.steps + 1, self.batch, self.hidden), -77777, np.int32)
        h0 = None if problem.h0 is None else self.pointer(problem.h0)
        size = ctypes.sizeof(Run)
        self.run = Run(
            size, self.steps, self.batch, int(problem.reverse), zoneout, self.pointer(problem.x), h0, self.h.ctypes.data
        )
        self.trace = TRACES[problem.datapath]()
        self.fields: dict[str, np.ndarray] = {}
        for f in trace_fields(problem.datapath):
            shape = field_shape(f.axes, steps=self.steps, batch=self.batch, inputs=self.inputs, hidden=self.hidden)
            self.fields[f.name] = np.full(shape, -77777, f.dtype)
            setattr(self.trace, f.name, self.fields[f.name].ctypes.data)

    def pointer(self, values: Any, dtype: Any = np.int32) -> int:
        """Address of a contiguous copy."""
        array = np.ascontiguousarray(values, dtype)
        assert (array == values).all()
        self.kept.append(array)
        return int(array.ctypes.data)

    def _mshift(self, f: dict[str, Any]) -> MShiftSet:
        p = MShiftSet(ctypes.sizeof(MShiftSet), self.inputs, self.hidden)
        for name in ("gate_bits", "zp_x", "zp_h", "zp_z", "zp_r", "zp_g"):
            setattr(p, name, f[name])
        for name in MULTIPLIERS:
            setattr(p, name, MShiftPair(f[name].multiplier, f[name].shift))
        for name in ("W", "R"):
            setattr(p, name, self.pointer(f[name], np.int8))
        for name in ("bx", "br"):
            setattr(p, name, self.pointer(f[name]))
        for name in ("table_z", "table_r", "table_g"):
            setattr(p, name, self.pointer(f[name].entries, np.int8))
        return p

    def _pot(self, f: dict[str, Any]) -> PotSet:
        p = PotSet(ctypes.sizeof(PotSet), self.inputs, self.hidden, int(f["rounding"] is Rounding.TIES_EVEN))
        for name, dtype in (("W", np.int16), ("R", np.int16), ("bx", np.int32), ("br", np.int32)):
            setattr(p, name, self.pointer(f[name], dtype))
            op = f["operators"][f"weight.{name}"]
            setattr(p, f"weight_{name}", ChannelOperator(Format(op.fmt.qmin, op.fmt.qmax), self.pointer(op.exponent)))
        for key, name in OPERATOR_NAMES.items():
            op = f["operators"][key]
            setattr(p, name, Operator(Format(op.fmt.qmin, op.fmt.qmax), op.exponent, op.zero_point))
        for k in "zrg":
            setattr(p, f"act_{k}", self._activation(f[f"act_{k}"]))
        return p

    def _activation(self, table: Any) -> Activation:
        kind, segments = kind_of(table)
        a = Activation(
            kind, segments, Format(table.fmt_in.qmin, table.fmt_in.qmax), Format(table.fmt_out.qmin, table.fmt_out.qmax)
        )
        a.zero_point_in = table.zero_point_in
        for name in TABLE_ARRAYS:
            if hasattr(table, name):
                setattr(a, name, self.pointer(getattr(table, name)))
        return a

    def forward(self, library: ctypes.CDLL, *, trace: bool = True) -> int:
        """Run it; fields and h hold the result when the status is OK."""
        function = library.qgru_mshift_forward if self.problem.datapath == "mshift" else library.qgru_pot_forward
        return int(function(ctypes.byref(self.params), ctypes.byref(self.run), ctypes.byref(self.trace) if trace else None))


def zoneout_code(p: float) -> int:
    """k of Z-2."""
    return int(np.rint(np.float32(p * 2.0**15)))


def kind_of(table: Any) -> tuple[int, int]:
    """The C kind of a table and its number of segments."""
    if isinstance(table, DirectTable):
        return 0, 0
    return (1 if isinstance(table, PiecewiseLinear) else 2), len(table.thresholds)


def difference(problem: Problem, found: dict[str, np.ndarray] | None) -> str | None:
    """The first value, in computation order, that is not golden's; None when all are equal.

    found  name -> array of any shape, or None when the C port refused the set
    """
    trace = problem.golden()
    if trace is None or found is None:
        return None if trace is None and found is None else "one of the two refuses the set"
    expected = dict(trace.fields) | {"v": trace.v}
    for name, want in expected.items():
        have = np.asarray(found[name], np.int64).reshape(-1)
        flat = want.astype(np.int64).reshape(-1)
        assert have.shape == flat.shape, name
        wrong = np.flatnonzero(have != flat)
        if wrong.size:
            index = tuple(int(i) for i in np.unravel_index(wrong[0], want.shape)) if want.ndim else ()
            return f"{problem.datapath} {name}{list(index)} is {have[wrong[0]]}, expected {flat[wrong[0]]}"
    return None
