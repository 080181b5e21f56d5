"""py: devices: a callable, or an object with the functions of the protocol, called in the worker."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from golden.spec.errors import QgruError
from golden.spec.layout import field_shape
from golden.spec.serial import from_plain
from golden.spec.trace import DynamicState, Trace
from verification.dut.capabilities import ANY, OUTPUT
from verification.dut.failure import DeviceError, Failure, NotSupported
from verification.dut.foreign import to_numpy
from verification.dut.frames import PROTOCOL, Answer, Answered, Message
from verification.dut.guarded import guard_inputs
from verification.dut.request import state_arrays


class Device(Protocol):
    """What a device in Python may be: an object with one or both functions, and perhaps capabilities.

    capabilities  the JSON object of docs/dut.md as a dict; without it everything is tried
    step          the outputs of a step of vectors.steps: int32, int64 or float32 [rows] (or [rows, K]) arrays go in and
                  come out, by the names of the step
    sequence      a whole run, as golden.sequence.forward takes it; gives a Trace, a mapping from names of trace fields (or
                  "output") to arrays, or the outputs [T,N,H] or the states [T+1,N,H] alone

    A plain function is taken as sequence. Arrays may be of any library with DLPack or __cuda_array_interface__. What a
    device does not do it answers with NotImplemented, or raises verification.dut.failure.NotSupported.
    """

    capabilities: Mapping[str, Any]

    def step(self, name: str, constants: Mapping[str, int], inputs: Mapping[str, np.ndarray], table: Any) -> Mapping[str, Any]:
        """One step, many rows."""

    def sequence(self, params: Any, x: np.ndarray, h0: Any, **options: Any) -> Any:
        """One run; options are mask, zoneout, training, reverse."""


def load(target: str) -> Any:
    """The object of "module:name" or "file.py:name"; a class is called without arguments.

    Raises DeviceError when it is not there
    """
    module_name, colon, name = target.rpartition(":")
    if not colon or not module_name or not name:
        raise DeviceError(f"py: device is {target!r}, expected module:callable or file.py:callable")
    try:
        if module_name.endswith(".py"):
            path = Path(module_name).absolute()  # a link keeps its own name, whatever that of its target
            own = f"qgru_dut_{path.stem}"  # a file called random.py or vectors.py takes the place of no other module
            spec = importlib.util.spec_from_file_location(own, path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[own] = module
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, OSError, AttributeError) as error:
        raise DeviceError(f"py:{target} is not there ({type(error).__name__}: {error}), expected module:callable") from None
    return found() if inspect.isclass(found) else found


def answer_with(device: Any, target: str) -> tuple[dict[str, Any], Answer]:
    """(capabilities, answer) of a loaded device; answer(request) gives the header and the arrays of the answer."""
    step = getattr(device, "step", None)
    sequence = getattr(device, "sequence", None)
    if not callable(step) and not callable(sequence):
        if not callable(device):
            raise DeviceError(
                f"py:{target} is a {type(device).__name__}, expected a callable, or an object with step or sequence"
            )
        sequence = device
    declared = getattr(device, "capabilities", None)
    declared = declared() if callable(declared) else declared
    if declared is None:
        declared = {
            "steps": [ANY] if callable(step) else [],
            "datapaths": [ANY] if callable(sequence) else [],
            "options": [ANY],
        }
    if not isinstance(declared, Mapping):
        raise DeviceError(f"py:{target}: capabilities object is {declared!r}, expected a JSON object")
    capabilities = {"protocol": PROTOCOL, "name": target, **declared}

    def answer(request: Message) -> Answered:
        guarded = guard_inputs(request.arrays)
        arrays = {name: buffer.array for name, buffer in guarded.items()}
        is_step = request.header["kind"] == "step"
        function = step if is_step else sequence
        if not callable(function):
            return {"status": "unsupported", "message": f"no {request.header['kind']}"}, {}
        try:
            found = (_step if is_step else _sequence)(function, request, arrays)
        except NotSupported as error:
            return {"status": "unsupported", "message": str(error)}, {}
        for buffer in guarded.values():
            buffer.check()
        if found is NotImplemented:
            return {"status": "unsupported", "message": ""}, {}
        return {"status": "ok"}, _named(found, request)

    return capabilities, answer


def _step(function: Callable[..., Any], request: Message, arrays: dict[str, np.ndarray]) -> Any:
    from vectors.step_case import unpack_table

    header = request.header
    table = None
    if "table" in header:
        inner = {name.removeprefix("table."): arrays.pop(name) for name in list(arrays) if name.startswith("table.")}
        table = unpack_table(header["table"], inner)
    constants = {k: v for k, v in header["constants"].items() if not k.startswith("table.")}
    return function(header["name"], constants, arrays, table)


def _sequence(function: Callable[..., Any], request: Message, arrays: dict[str, np.ndarray]) -> Any:
    parameters = {name.removeprefix("params."): arrays.pop(name) for name in list(arrays) if name.startswith("params.")}
    state = {name.removeprefix("state."): arrays.pop(name) for name in list(arrays) if name.startswith("state.")}
    try:
        params = from_plain(request.header["params"], parameters)
    except QgruError:  # not by the device, which must not be credited with it
        raise NotSupported("its parameter set must be refused and cannot be made in Python, so that it was not asked") from None
    values: dict[str, Any] = {k: a if k == "h" else a.item() for k, a in state.items()}
    h0 = DynamicState(**values) if values else arrays.get("h0")
    return function(params, arrays["x"], h0, mask=arrays.get("mask"), **request.header["options"])


def _named(found: Any, request: Message) -> dict[str, np.ndarray]:
    """The arrays of what a function gave, by name."""
    if isinstance(found, Trace):
        state = {} if found.state is None else {f"state.{k}": a for k, a in state_arrays(found.state).items()}
        return {**found.fields, **state}
    if isinstance(found, Mapping):
        return {str(name): to_numpy(str(name), value) for name, value in found.items()}
    if request.header["kind"] == "step":
        outputs = request.header["outputs"]
        if len(outputs) != 1:
            raise Failure("short", f"one array, expected a mapping with {', '.join(o['name'] for o in outputs)}")
        return {outputs[0]["name"]: to_numpy(outputs[0]["name"], found)}
    array = to_numpy(OUTPUT, found)
    steps, batch, _ = request.arrays["x"].shape
    hidden = request.arrays["params.R"].shape[0]
    states = field_shape("SNH", steps=steps, batch=batch, inputs=0, hidden=hidden)
    return {"h" if array.shape == states else OUTPUT: array}
