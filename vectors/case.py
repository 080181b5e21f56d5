"""A case of a vector set: a parameter set, an input, options and every intermediate that is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from golden.spec.arrays import check_shape
from golden.spec.errors import ParameterError
from golden.spec.layout import field_shape, trace_fields
from golden.spec.params import Params, check_input
from golden.spec.serial import from_plain, to_plain
from golden.spec.trace import DynamicState, Trace, check_options, check_state
from vectors.canonical import dumps, plain
from vectors.describe import STATE_FIELDS, check_format, field_format


@dataclass(frozen=True, eq=False)
class Case:
    """One run and what it must give.  Checked when built; raises a QgruError with the first field that is wrong.

    id        permanent and unique in its set: letters, digits, ".", "_", "-"
    params    the parameter set
    x         [T,N,C]: codes, int32, or float32 in dynamic mode
    h0        codes [N,H], float32 [N,H] or a DynamicState in dynamic mode, or None
    mask      int32 [T,N,H] of 0 and 1, or None  [SPEC Z-1]
    zoneout, training, reverse  the options of the run
    trace     the expected Trace
    group     what the case belongs to
    comment   one line for people
    level     of the set that it belongs to, 1 to 3
    flags     name -> how often it holds in the trace; names alone count once, None computes them
    """

    id: str
    params: Params
    x: np.ndarray
    h0: np.ndarray | DynamicState | None
    mask: np.ndarray | None
    zoneout: float
    training: bool
    reverse: bool
    trace: Trace
    group: str
    comment: str = ""
    level: int = 1
    flags: Any = None

    kind: ClassVar[str] = "sequence"

    def __post_init__(self) -> None:
        x = check_input(self.params, self.x)
        shape = (x.shape[0], x.shape[1], self.params.hidden_size)
        options = check_options(self.mask, self.zoneout, self.training, shape)
        if not isinstance(self.reverse, bool):
            raise ParameterError("reverse", repr(self.reverse), "true or false")
        if not np.isfinite(x).all():
            raise ParameterError("x", "an array with NaN or inf", "finite numbers")
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "h0", check_state(self.params, self.h0, x.shape[1]))
        object.__setattr__(self, "mask", options.mask)
        object.__setattr__(self, "zoneout", options.zoneout)
        object.__setattr__(self, "training", options.training)
        _check_trace(self, options.blend)
        if self.flags is None:
            from vectors.flags import case_flags

            object.__setattr__(self, "flags", case_flags(self))
        elif not isinstance(self.flags, Mapping):
            object.__setattr__(self, "flags", dict.fromkeys(self.flags, 1))

    @property
    def options(self) -> dict[str, Any]:
        """What a forward function takes after params, x and h0: mask, zoneout, training, reverse."""
        return {"mask": self.mask, "zoneout": self.zoneout, "training": self.training, "reverse": self.reverse}


def case_from_trace(
    id: str,
    params: Params,
    x: np.ndarray,
    h0: np.ndarray | DynamicState | None,
    trace: Trace,
    *,
    group: str,
    mask: np.ndarray | None = None,
    zoneout: float = 0.0,
    training: bool = False,
    comment: str = "",
    level: int = 1,
    flags: Mapping[str, int] | Sequence[str] | None = None,
) -> Case:
    """The case that expects this trace of forward(params, x, h0, ...); its direction is the trace's.

    Raises ParameterError naming the field where the trace is not one of such a run: a datapath, a field, a dtype, a
    shape, a code outside its format, another x or h0.
    """
    return Case(id, params, x, h0, mask, zoneout, training, trace.reverse, trace, group, comment, level, flags)


def _check_trace(case: Case, blend: bool) -> None:
    trace, params = case.trace, case.params
    if trace.datapath != params.datapath:
        raise ParameterError("trace datapath", repr(trace.datapath), repr(params.datapath))
    if trace.reverse != case.reverse:
        raise ParameterError("trace reverse", repr(trace.reverse), repr(case.reverse))
    fields = trace_fields(params.datapath, training=case.training, zoneout=blend)
    names = [f.name for f in fields]
    if list(trace) != names:
        wrong = sorted(set(names) ^ set(trace)) or ["their order"]
        raise ParameterError(
            "trace fields", f"different in {', '.join(wrong)}", "the fields of such a run in computation order"
        )
    steps, batch, inputs = case.x.shape
    for f in fields:
        array = trace[f.name]
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype(f.dtype):
            raise ParameterError(f"trace {f.name}", str(getattr(array, "dtype", type(array).__name__)), f.dtype)
        check_shape(
            f"trace {f.name}", array, field_shape(f.axes, steps=steps, batch=batch, inputs=inputs, hidden=params.hidden_size)
        )
        check_format(f"trace {f.name}", array, field_format(params, f.name))
    initial = case.h0.h if isinstance(case.h0, DynamicState) else case.h0
    if params.datapath != "mshift-dynamic" and not np.array_equal(trace["x"], case.x):
        raise ParameterError("trace x", "another array than the input", "the input")
    if initial is not None and initial.dtype.kind == "i" and not np.array_equal(trace["h"][0], initial):
        raise ParameterError("trace h[0]", "another state than h0", "h0")
    if (trace.state is None) != (params.datapath != "mshift-dynamic"):
        raise ParameterError("trace state", type(trace.state).__name__, "a DynamicState in dynamic mode only")
    if trace.state is not None and not np.array_equal(trace.state.h, trace.h_n):
        raise ParameterError("trace state h", "another state than the last of h", "the state after the last step")


def pack(case: Case) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(description, arrays) of a case: the parameter set as JSON and every array by its name in the file."""
    description, parameters = to_plain(case.params)
    arrays = {f"params.{name}": array for name, array in parameters.items()}
    arrays["input.x"] = case.x
    if isinstance(case.h0, DynamicState):
        arrays.update(_pack_state("input.state.", case.h0))
    elif case.h0 is not None:
        arrays["input.h0"] = case.h0
    if case.mask is not None:
        arrays["input.mask"] = case.mask
    arrays.update({f"trace.{name}": array for name, array in case.trace.items()})
    if case.trace.state is not None:
        arrays.update(_pack_state("state.", case.trace.state))
    return plain(description, "params"), arrays


def unpack(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Case:
    """The case of a manifest's entry and the arrays of its file.

    Raises a QgruError (from golden.spec) with the first field that is missing, unknown or wrong.
    """
    groups: dict[str, dict[str, np.ndarray]] = {"params": {}, "input": {}, "trace": {}, "state": {}}
    for name, array in arrays.items():
        kind, _, rest = name.partition(".")
        if kind not in groups or not rest:
            raise ParameterError("array name", repr(name), "params.*, input.*, trace.* or state.*")
        groups[kind][rest] = array
    params = from_plain(entry["params"], groups["params"])
    if params.datapath != entry["datapath"]:
        raise ParameterError("params datapath", repr(params.datapath), repr(entry["datapath"]))
    if dumps(plain(to_plain(params)[0], "params")) != dumps(entry["params"]):
        raise ParameterError("params", "written in another way than its values are", "the description of the parameter set")
    inputs = groups["input"]
    state = {k.removeprefix("state."): inputs.pop(k) for k in list(inputs) if k.startswith("state.")}
    if "x" not in inputs or not set(inputs) <= {"x", "h0", "mask"} or (state and "h0" in inputs):
        raise ParameterError(
            "inputs", f"{sorted(inputs)}{' and a state' if state else ''}", "x, at most one of h0 and state, and mask"
        )
    x, options = inputs["x"], entry["options"]
    fields = trace_fields(
        params.datapath, training=options["training"], zoneout=options["zoneout"] > 0 and not options["training"]
    )
    if {f.name for f in fields} != set(groups["trace"]):
        wrong = sorted({f.name for f in fields} ^ set(groups["trace"]))
        raise ParameterError("trace fields", f"different in {', '.join(wrong)}", "the fields of such a run")
    ordered = {f.name: groups["trace"][f.name] for f in fields}
    final = _unpack_state("state", groups["state"]) if groups["state"] else None
    trace = Trace(params.datapath, ordered, options["reverse"], final)
    h0 = _unpack_state("input.state", state) if state else inputs.get("h0")
    texts = {"group": entry["group"], "comment": entry["comment"], "level": entry["level"], "flags": dict(entry["flags"])}
    return Case(
        entry["id"],
        params,
        x,
        h0,
        inputs.get("mask"),
        float(options["zoneout"]),
        options["training"],
        options["reverse"],
        trace,
        **texts,
    )


def _pack_state(prefix: str, state: DynamicState) -> dict[str, np.ndarray]:
    values = {name: getattr(state, name) for name in STATE_FIELDS}
    return {prefix + k: np.array(v, dtype=STATE_FIELDS[k][0]) for k, v in values.items() if v is not None}


def _unpack_state(field: str, arrays: Mapping[str, np.ndarray]) -> DynamicState:
    optional = ("x_min", "x_max", "s_b")
    for name in sorted(set(arrays) ^ set(STATE_FIELDS)):
        if name not in optional:
            raise ParameterError(f"{field}.{name}", "missing or unknown", f"the arrays {', '.join(STATE_FIELDS)}")
    for name, array in arrays.items():
        check_shape(f"{field}.{name}", array, (None, None) if name == "h" else ())
        if array.dtype != np.dtype(STATE_FIELDS[name][0]):
            raise ParameterError(f"{field}.{name}", str(array.dtype), STATE_FIELDS[name][0])
    values: dict[str, Any] = {name: array if name == "h" else array.item() for name, array in arrays.items()}
    return DynamicState(**values)
