"""Cases of a whole gate or state update, done by the stages of `deviations.mshift` and `deviations.pot`.

A row is a time of a run with one row and one unit; its operands are those of the case, equal in all three gate columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding
from vectors.step_case import StepCase
from verification.deviations import mshift, pot
from verification.deviations.evaluate import DTYPES
from verification.deviations.steps import Steps

Where = Mapping[str, tuple[str, ...]]
_M = ("mshift", "mshift-dynamic")
_SHARED = {"shift", "amount", "saturate", "add_zero", "sub_zero", "bias", "total"}
_MULTIPLY = {"product", "multiplier", "apply", "align", "requantize"}
_TABLE = {"index", "wide_index", "segment", "table_shift", "line", "parabola"}


def _both(columns: tuple[str, ...], datapaths: tuple[str, ...]) -> dict[str, Where]:
    """Columns of a gate step, done by the z and the r gate."""
    names = {c: ("z", "r") if c == "gate" else (f"z_{c}", f"r_{c}") for c in columns}
    return {c: dict.fromkeys(datapaths, fields) for c, fields in names.items()}


def _named(names: dict[str, str], datapaths: tuple[str, ...]) -> dict[str, Where]:
    return {column: dict.fromkeys(datapaths, (field,)) for column, field in names.items()}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _g(*names: str) -> dict[str, str]:
    return {name: "g" if name == "gate" else f"g_{name}" for name in names}


COMPOSITE: dict[str, tuple[dict[str, Where], frozenset[str]]] = {
    "mshift_gate": (
        _both(("Rh_aligned", "bx_aligned", "br_aligned", "acc", "a", "pre", "gate"), _M),
        frozenset(_SHARED | _MULTIPLY | _TABLE),
    ),
    "mshift_candidate": (
        _named(_g("br_aligned", "b_acc", "b", "rb", "c", "bx_aligned", "acc", "a", "pre", "gate"), _M),
        frozenset(_SHARED | _MULTIPLY | _TABLE | {"reset"}),
    ),
    "mshift_hidden": (
        _named(_same("n_acc", "n", "S", "h_new"), _M),
        frozenset(_SHARED | _MULTIPLY | {"one", "update"}),
    ),
    "pot_gate": (
        _both(("Wx_aligned", "Rh_aligned", "bx_aligned", "br_aligned", "acc", "pre", "gate"), ("pot",)),
        frozenset(_SHARED | _TABLE),
    ),
    "pot_reset_path": (
        _named(_same("A_Rh_aligned", "A_br_aligned", "A_acc", "A", "P_prod", "P_acc", "P"), ("pot",)),
        frozenset(_SHARED | {"rescale_pot", "reset"}),
    ),
    "pot_candidate": (
        _named(_g("Wx_aligned", "P_aligned", "bx_aligned", "acc", "pre", "gate"), ("pot",)),
        frozenset(_SHARED | _TABLE),
    ),
    "pot_hidden": (
        _named(
            _same(
                "one", "O_prod", "O_acc", "O", "N_prod", "N_acc", "N", "h_O_aligned", "h_N_aligned", "h_acc", "h_new"
            ),
            ("pot",),
        ),
        frozenset(_SHARED | {"rescale_pot", "one", "update"}),
    ),
}  # fmt: skip
"""Step -> (column -> datapath -> fields, the steps of `Steps` that it goes through)."""
_OPERATORS = {
    "Wx": "matmul.Wx", "Rh": "matmul.Rh", "A": "op.Rh_add_br", "P": "op.rRh", "h": "input.h", "O": "op.old_contrib",
    "N": "op.new_contrib", "z": "gate.z_out", "g": "gate.g_out", "r": "gate.r_out",
}  # fmt: skip
_MULTIPLIERS = {"gate": {"Rh": "m_Rh_z", "bx": "m_bx", "br": "m_br_z", "pre": "m_z"},
                "candidate": {"br": "m_br_g", "rRh": "m_rRh", "bx": "m_bx", "pre": "m_g"},
                "hidden": {"gh": "m_gh", "one": "m_one"}}  # fmt: skip


class Rows(Mapping[str, np.ndarray]):
    """The environment of a stage, made of the rows of a step case."""

    def __init__(self, case: StepCase) -> None:
        self.case, c = case, case.constants
        self.gate = "g" if case.step.endswith("candidate") else "z"
        datapath, kind = case.step.split("_", 1)
        self.datapath = datapath
        self.times = self.rows = np.arange(case.rows)
        self.run = SimpleNamespace(dynamic=False)
        self.params = SimpleNamespace(datapath=datapath, hidden_size=1, rounding=_rounding(c))
        if datapath == "mshift":
            self.multipliers = {name: (c[f"M_{k}"], c[f"s_{k}"]) for k, name in _MULTIPLIERS[kind].items()}
            if "zp_pre" in c:
                setattr(self.params, f"zp_{self.gate}", c["zp_pre"])
                self.params.fmt_pre = _fmt(c, "pre")
            setattr(self.params, f"table_{self.gate}", case.table)
            return
        operators = {name: _operator(c, k) for k, name in _OPERATORS.items() if f"bits_{k}" in c}
        if "bits_pre" in c:
            operators[f"gate.{self.gate}_pre"] = _operator(c, "pre")
        for name in ("bx", "br"):
            if f"e_{name}" in case.inputs:
                operators[f"weight.{name}"] = SimpleNamespace(exponent=_columns(case.inputs[f"e_{name}"]), zero_point=0)
        self.params.operators = operators
        setattr(self.params, f"act_{self.gate}", case.table)

    def field(self, column: str) -> str:
        """The field that a column is, in the gate that the rows stand for."""
        if not self.case.step.endswith(("gate", "candidate")):
            return column
        return self.gate if column == "gate" else f"{self.gate}_{column}"

    def __getitem__(self, name: str) -> np.ndarray:
        values = {self.field(n): v for n, v in self.case.outputs.items()} | dict(self.case.inputs)
        if name in ("Wx", "Rh"):
            return _columns(values[name])[:, None]
        if name == "one":
            return values[name][:, None, None]
        return values[name][:, None] if name.endswith(("bx_aligned", "br_aligned")) else values[name][:, None, None]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.case.inputs, *map(self.field, self.case.outputs)))

    def __len__(self) -> int:
        return len(self.case.inputs) + len(self.case.outputs)

    def bias(self, name: str) -> np.ndarray:
        """bx or br of each row."""
        return _columns(self.case.inputs[name])

    def state(self, times: Any, rows: Any) -> np.ndarray:
        """The old state of each row."""
        return self.case.inputs["h"][:, None, None]

    def number(self, name: str, axes: int = 3) -> int:
        """A zero point."""
        return self.case.constants["zp"] if name == "zp_h" else int(getattr(self.params, name))

    def mshift(self, name: str, axes: int = 3) -> tuple[int, int]:
        """(multiplier, shift)"""
        return self.multipliers[name]

    def over_time(self, values: Any) -> np.ndarray:
        """A bias term of each row."""
        return np.broadcast_to(values, (self.case.rows, 1))


def _columns(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, None], 3, axis=1)


def _fmt(c: Mapping[str, int], k: str) -> IntFormat:
    return IntFormat(c[f"bits_{k}"], bool(c[f"signed_{k}"]))


def _operator(c: Mapping[str, int], k: str) -> SimpleNamespace:
    return SimpleNamespace(fmt=_fmt(c, k), exponent=c[f"e_{k}"], zero_point=c[f"zp_{k}"])


def _rounding(c: Mapping[str, int]) -> Rounding:
    return Rounding.TIES_EVEN if c.get("ties_even") else Rounding.TIES_AWAY


def composite(o: Steps, case: StepCase) -> Mapping[str, Any]:
    """Every output column of the case, each from the recorded operands of its stage."""
    e: Any = Rows(case)
    stages = pot.STAGES if e.datapath == "pot" else mshift.STAGES
    out = {}
    for column in case.outputs:
        name = e.field(column)
        values = np.asarray(stages[name](o, e), np.int64)
        if DTYPES[e.datapath][name] == "int32":
            values = values.astype(np.int32).astype(np.int64)
        out[column] = np.broadcast_to(values.reshape(-1), (case.rows,))
    return out
