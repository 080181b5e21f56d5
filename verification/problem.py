"""A whole problem: a parameter set, its data and the options of the run; readable, and written down so that it replays."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.params import Params
from golden.spec.serial import from_plain, to_plain
from golden.spec.trace import DynamicState, Trace

FIELDS = frozenset({"params", "arrays", "x", "h0", "state", "mask", "zoneout", "training", "reverse"})
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")


@dataclass(frozen=True, eq=False)
class Problem:
    """What forward(...) takes.

    params    a parameter set
    x         [T,N,C], codes or float32
    h0        [N,H], codes or float32, a DynamicState, or None
    mask      [T,N,H] of 0 and 1 or None
    zoneout, training, reverse  the options of the run
    """

    params: Params
    x: np.ndarray
    h0: Any = None
    mask: np.ndarray | None = None
    zoneout: float = 0.0
    training: bool = False
    reverse: bool = False

    def run(self, forward: Callable[..., Trace], **more: Any) -> Trace:
        """The trace that an implementation's forward gives."""
        return forward(
            self.params, self.x, self.h0, mask=self.mask, zoneout=self.zoneout, training=self.training,
            reverse=self.reverse, **more,
        )  # fmt: skip

    def __repr__(self) -> str:
        steps, batch, inputs = self.x.shape
        lines = [
            f"Problem({self.params.datapath}: T={steps}, N={batch}, C={inputs}, H={self.params.hidden_size}, "
            f"zoneout={self.zoneout}, training={self.training}, reverse={self.reverse},",
            f"  x={_short(self.x)},",
            f"  h0={_short(self.h0)}, mask={_short(self.mask)},",
        ]
        description, arrays = to_plain(self.params)
        lines += [f"  {name}={_short(array)}," for name, array in arrays.items()]
        lines += [f"  {_flat(key, value)}," for key, value in description.items() if key != "datapath"]
        return "\n".join(lines) + ")"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # what Hypothesis shows of a failing example

    def to_json(self) -> str:
        """The problem as canonical JSON; from_json gives the same problem back, bit for bit."""
        description, arrays = to_plain(self.params)
        state = self.h0 if isinstance(self.h0, DynamicState) else None
        plain = {
            "params": description,
            "arrays": {name: _pack(a) for name, a in arrays.items()},
            "x": _pack(self.x),
            "h0": None if self.h0 is None or state else _pack(np.asarray(self.h0)),
            "state": {**vars(state), "h": _pack(state.h)} if state else None,
            "mask": None if self.mask is None else _pack(self.mask),
            "zoneout": self.zoneout,
            "training": self.training,
            "reverse": self.reverse,
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), default=_number)

    @classmethod
    def from_json(cls, text: str) -> Problem:
        """The problem that to_json wrote.

        Raises   ParameterError naming the field that is missing, unknown or wrong; what forward checks is checked there
        """
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError):
            raise ParameterError("problem", f"{len(text)} characters that are no JSON", "what Problem.to_json wrote") from None
        if not isinstance(plain, dict) or set(plain) != FIELDS or not isinstance(plain["arrays"], dict):
            raise ParameterError("problem", "JSON of another form", f"an object with {', '.join(sorted(FIELDS))}")
        arrays = {name: _unpack(name, a) for name, a in plain["arrays"].items()}
        h0: Any = None if plain["h0"] is None else _unpack("h0", plain["h0"])
        if plain["state"] is not None:
            h0 = _state(plain["state"])
        mask = None if plain["mask"] is None else _unpack("mask", plain["mask"])
        options = {k: plain[k] for k in ("zoneout", "training", "reverse")}
        if type(options["zoneout"]) not in (int, float) or any(type(options[k]) is not bool for k in ("training", "reverse")):
            raise ParameterError("options", repr(options)[:80], "a number for zoneout, true or false for training and reverse")
        return cls(from_plain(plain["params"], arrays), _unpack("x", plain["x"]), h0, mask, **options)

    def to_code(self) -> str:
        """Python that rebuilds the problem, for a failing example."""
        return f"from verification.problem import Problem\nproblem = Problem.from_json({self.to_json()!r})\n"


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


def _pack(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": np.asarray(array).reshape(-1).tolist()}


def _unpack(name: str, packed: Any) -> np.ndarray:
    """The array of _pack; only of numbers, and nothing is allocated but for those that are there."""
    data, dtype, shape = (packed.get(k) if isinstance(packed, dict) else None for k in ("data", "dtype", "shape"))
    if not isinstance(data, list) or not all(type(v) in (int, float, bool) for v in data) or dtype not in DTYPES:
        raise ParameterError(name, "of another form", f"an object with data, shape and dtype, one of {', '.join(DTYPES)}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ParameterError(f"{name} shape", repr(shape)[:80], "a list of sizes")
    kinds = (int, float) if dtype.startswith("float") else (bool,) if dtype == "bool" else (int,)
    try:
        if all(type(v) in kinds for v in data):  # NumPy would take 1.5 for the integer 1
            with np.errstate(over="ignore"):
                return np.asarray(data, dtype).reshape(shape)
    except (ValueError, OverflowError):
        pass
    found = f"{len(data)} numbers for {dtype} of shape {repr(shape)[:80]}"
    raise ParameterError(name, found, "as many as the shape has, each a number of its dtype")


def _state(value: Any) -> DynamicState:
    known = {f.name for f in fields(DynamicState)}
    if not isinstance(value, dict) or set(value) != known:
        raise ParameterError("state", "of another form", f"an object with {', '.join(sorted(known))}")
    return DynamicState(**{**value, "h": _unpack("state h", value["h"])})


def _short(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    if value.size > 64:
        flat = value.reshape(-1)
        return f"<{value.dtype} {list(value.shape)}, min {flat.min()}, max {flat.max()}>"
    return str(value.tolist())


def _flat(key: str, value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"multiplier", "shift"}:
        return f"{key}={value['multiplier']} * 2**-{value['shift']}"
    return f"{key}={value}"
