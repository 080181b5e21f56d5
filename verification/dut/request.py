"""A case as a request: what the device is given, and which arrays it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.spec.formats import BOUNDS, IntFormat
from golden.spec.layout import FIELDS, field_shape, trace_fields
from golden.spec.serial import to_plain
from golden.spec.trace import DynamicState
from vectors.canonical import plain
from vectors.case import Case
from vectors.describe import STATE_FIELDS
from vectors.error_case import ErrorCase
from vectors.kinds import AnyCase
from vectors.step_case import StepCase, column_format, pack_table
from vectors.steps import Column, to_reals
from vectors.words import storage
from verification.dut.capabilities import OUTPUT, Capabilities
from verification.dut.frames import DTYPES, PROTOCOL

CODES: dict[str, int] = {
    "direct": 0, "piecewise_linear": 1, "piecewise_quadratic": 2, "ties_away": 0, "ties_even": 1, "sigmoid": 0, "tanh": 1,
}  # fmt: skip
"""Words of a description as numbers, for devices that read no JSON."""
_FORMATS = {str(fmt): fmt for fmt in (IntFormat(*key) for key in BOUNDS)}


@dataclass(frozen=True)
class Wanted:
    """An array that is asked for; one that is not required may be left out."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    required: bool = True


@dataclass(frozen=True)
class Request:
    """What a device is asked.

    kind     "step" or "sequence"
    id       of the case
    name     of the step or of the datapath
    header   the rest of the frame's header: constants, and params, options or table
    arrays   name -> int32, int64 or float32 array
    outputs  what is asked for
    needs    options of verification.dut.capabilities that the case needs
    sizes    T, N, C, H, or rows and lanes
    """

    kind: str
    id: str
    name: str
    header: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    outputs: tuple[Wanted, ...]
    needs: frozenset[str] = frozenset()
    sizes: Mapping[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The header of the request's frame, without its arrays."""
        wanted = [{"name": w.name, "dtype": w.dtype, "shape": list(w.shape), "required": w.required} for w in self.outputs]
        return {"protocol": PROTOCOL, "kind": self.kind, "id": self.id, "name": self.name, **self.header, "outputs": wanted}


def request_of(case: AnyCase, capabilities: Capabilities) -> Request | str:
    """The request of a case, or, in a few words, why the device does not get it."""
    if isinstance(case, StepCase):
        request = _step(case, capabilities)
    elif isinstance(case, Case):
        request = _sequence(case, capabilities)
    elif isinstance(case, ErrorCase):
        datapath = case.description.get("datapath")
        refusal = (
            _refusal(case, datapath)
            if datapath in FIELDS
            else f"a parameter set of the datapath {datapath!r}, which no device has"
        )
        if isinstance(refusal, str):
            return refusal
        request = refusal
    else:
        return f"a case of the kind {case.kind} is no single request"
    reason = capabilities.missing(request.kind, request.name, request.needs, request.sizes)
    if reason is None and not request.outputs and not isinstance(case, ErrorCase):
        what = "step" if request.kind == "step" else "datapath"
        reason = f"no output of the {what} {request.name} that the case has is promised"
    return reason or request


def wire(column: Column, values: np.ndarray, constants: Mapping[str, int]) -> np.ndarray:
    """A column as it travels: float32 for a binary32 number, else the narrower of int32 and int64 that holds its width."""
    if column.kind == "float32":
        return to_reals(values)
    return values.astype(storage(column_format(column, constants)))


def _step(case: StepCase, capabilities: Capabilities) -> Request:
    step = case.definition
    header: dict[str, Any] = {"constants": dict(case.constants)}
    arrays: dict[str, np.ndarray] = {}
    if case.table is not None:
        header["table"], table = pack_table(case.table)
        header["constants"] |= dict(numbers(header["table"], "table."))
        arrays = {f"table.{name}": np.asarray(array) for name, array in table.items()}
    arrays |= {c.name: wire(c, case.inputs[c.name], case.constants) for c in step.inputs}
    promised = capabilities.promised("step", case.step)
    due = [c for c in step.outputs if promised is None or c.name in promised]
    outputs = []
    for c in due:
        expected = wire(c, case.outputs[c.name], case.constants)
        outputs.append(Wanted(c.name, expected.dtype.name, expected.shape))
    lanes = [array.shape[1] for array in case.inputs.values() if array.ndim == 2]
    sizes = {"rows": case.rows, **({"lanes": lanes[0]} if lanes else {})}
    return Request("step", case.id, case.step, header, arrays, tuple(outputs), frozenset(), sizes)


def _sequence(case: Case, capabilities: Capabilities) -> Request:
    params = case.params
    steps, batch, inputs = case.x.shape
    sizes = {"T": steps, "N": batch, "C": inputs, "H": params.hidden_size}
    given = (("reverse", case.reverse), ("training", case.training), ("mask", case.mask is not None))
    needs = {name for name, is_needed in given if is_needed}
    if case.zoneout > 0 and not case.training:
        needs.add("zoneout")
    arrays = {"x": case.x}
    if isinstance(case.h0, DynamicState):
        needs.add("state")
        arrays |= {f"state.{name}": array for name, array in state_arrays(case.h0).items()}
    elif case.h0 is not None:
        needs.add("h0")
        arrays["h0"] = case.h0
    if case.mask is not None:
        arrays["mask"] = case.mask
    fields = trace_fields(params.datapath, training=case.training, zoneout="zoneout" in needs)
    offered = [
        (f.name, f.dtype, field_shape(f.axes, steps=steps, batch=batch, inputs=inputs, hidden=sizes["H"])) for f in fields
    ]
    offered.append((OUTPUT, "int32", (steps, batch, sizes["H"])))
    if case.trace.state is not None:
        offered += [(f"state.{k}", a.dtype.name, a.shape) for k, a in state_arrays(case.trace.state).items()]
    promised = capabilities.promised("sequence", params.datapath)
    outputs = tuple(
        Wanted(name, dtype, shape, promised is not None)
        for name, dtype, shape in offered
        if promised is None or name in promised
    )
    options = {"zoneout": case.zoneout, "training": case.training, "reverse": case.reverse}
    header, arrays = with_params(*to_plain(params), arrays, options)
    return Request("sequence", case.id, params.datapath, header, arrays, outputs, frozenset(needs), sizes)


def _refusal(case: ErrorCase, datapath: str) -> Request | str:
    """A run of what must be refused; where the set alone is wrong, with a single step of zeros."""
    x = case.x
    if x is None:
        inputs = np.shape(case.arrays.get("W", ()))[:1]
        if not inputs:
            return "a parameter set without W, which no run can be asked of"
        x = np.zeros((1, 1, *inputs), np.float32 if datapath == "mshift-dynamic" else np.int32)
    options = {"zoneout": 0.0, "training": False, "reverse": False}
    header, arrays = with_params(case.description, case.arrays, {"x": np.asarray(x)}, options)
    foreign = [name for name, array in arrays.items() if array.dtype.name not in DTYPES]
    if foreign:
        return f"{foreign[0]} is of type {arrays[foreign[0]].dtype.name}, which does not travel"
    sizes = dict(zip("TNC", x.shape))
    if R := np.shape(case.arrays.get("R", ())):
        sizes["H"] = R[0]
    return Request("sequence", case.id, datapath, header, arrays, (), frozenset({"refusals"}), sizes)


def with_params(
    description: Mapping[str, Any],
    parameters: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    options: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(header, arrays) of a run: the numbers of its parameter set and its options, params, and every array by its name."""
    constants = {**dict(numbers(description)), **{k: float(v) if k == "zoneout" else int(v) for k, v in options.items()}}
    named = {f"params.{name}": np.asarray(array) for name, array in parameters.items()}
    return {"constants": constants, "params": plain(dict(description), "params"), "options": options}, {**named, **arrays}


def numbers(description: Any, prefix: str = "") -> Iterator[tuple[str, int | float]]:
    """The numbers of a description by dotted names; formats give .bits and .signed, known words their number in CODES."""
    for key, value in description.items():
        name = prefix + key
        if isinstance(value, Mapping):
            if key != "meta":
                yield from numbers(value, name + ".")
        elif isinstance(value, bool):
            yield name, int(value)
        elif isinstance(value, (int, float)):
            yield name, value
        elif isinstance(value, str) and value in CODES:
            yield name, CODES[value]
        elif isinstance(value, str) and key.startswith("fmt") and value in _FORMATS:
            yield f"{name}.bits", _FORMATS[value].bits
            yield f"{name}.signed", int(_FORMATS[value].signed)


def state_arrays(state: DynamicState) -> dict[str, np.ndarray]:
    """A state as arrays: h [N,H] and single numbers; what it does not have yet is left out."""
    values = {name: getattr(state, name) for name in STATE_FIELDS}
    return {name: np.asarray(value, STATE_FIELDS[name][0]) for name, value in values.items() if value is not None}
