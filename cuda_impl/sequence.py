"""The time loop, both directions, on the host, a GPU or the simulator.  [SPEC S, D, Z]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.dynamic_run import checked_state, run_dynamic
from cuda_impl.runs import Run, run_mshift, run_pot
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, check_input
from golden.spec.trace import BidirectionalTrace, DynamicState, Trace, check_options


def forward(
    params: Params,
    x: Any,
    h0: Any = None,
    *,
    mask: Any = None,
    zoneout: float = 0.0,
    training: bool = False,
    reverse: bool = False,
    device: str = "auto",
    on_device: bool = False,
) -> Trace:
    """Run a sequence and give back every named intermediate, as golden.sequence.forward does.  [SPEC S]

    x        [T,N,C]: codes of the input format for the static datapaths, float32 for dynamic ranges; a NumPy array, a CPU
             tensor (DLPack, no copy) or an array on the GPU (__cuda_array_interface__, not copied through the host)
    h0       codes [N,H]; in dynamic mode float32 [N,H] or a DynamicState to go on from; None as GP-9 and D say
    mask     [T,N,H] of 0 and 1, only when training  [SPEC Z-1]
    zoneout  probability in [0, 1]  [SPEC Z-2]
    reverse  read x from T-1 to 0  [SPEC S-2]
    device   "auto" (a usable GPU, else the host), "gpu", "host" or "simulator"
    on_device  leave the fields of a static set where they were computed: on a GPU they are then arrays with
             __cuda_array_interface__, and with x and h0 on the GPU nothing of their size passes through the host
    Returns  Trace of NumPy arrays
    Raises   ParameterError for a bad argument, RangeError naming tensor and step, WidthError  [SPEC E-5, M-2, GM-3]
    """
    target = launch.target(device)
    placed = _receive(params, x, target)
    options = check_options(launch.host_array("mask", mask), zoneout, training, (*placed.shape[:2], params.hidden_size))
    state = _receive_state(params, h0, placed.shape[1], target)
    run = Run(target, placed, options, bool(reverse), params.input_size, params.hidden_size, bool(on_device))
    if isinstance(params, MShiftDynamicParams):
        return run_dynamic(params, run, state)
    return run_mshift(params, run, state) if isinstance(params, MShiftParams) else run_pot(params, run, state)


def bidirectional(
    params_forward: Params,
    params_backward: Params,
    x: Any,
    h0: Any = (None, None),
    *,
    mask: Any = (None, None),
    zoneout: float = 0.0,
    training: bool = False,
    device: str = "auto",
) -> BidirectionalTrace:
    """Both directions over the same x, each with its own parameters, state and mask.  [SPEC S-2]

    h0, mask  pairs, forward first; everything else as in forward
    Returns   BidirectionalTrace, its output [T,N,2H] with the forward features first
    """
    for name, pair in (("h0", h0), ("mask", mask)):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ParameterError(name, type(pair).__name__, "a pair, forward first")
    options: dict[str, Any] = {"zoneout": zoneout, "training": training, "device": device}
    return BidirectionalTrace(
        forward(params_forward, x, h0[0], mask=mask[0], **options),
        forward(params_backward, x, h0[1], mask=mask[1], reverse=True, **options),
    )


def _receive(params: Params, x: Any, target: launch.Target) -> Any:
    """x, checked, as int32 codes or float32 reals [T,N,C] on the target."""
    if target.kind == "gpu" and launch.is_gpu_array(x):
        array = launch.gpu_array(x)
        moving = params.datapath == "mshift-dynamic"
        if array.ndim == 3 and array.shape[1] > 0 and array.shape[2] == params.input_size:
            if moving and array.dtype == np.float32:
                placed = target.empty(array.shape, np.float32)
                target.run("receive_reals", array.shape[0] * array.shape[1], array, placed)
                return placed
            found = None if moving else _codes(array, params.fmt_x, target)
            if found is not None:
                return found
    return target.put(check_input(params, launch.host_array("x", x)))


def _receive_state(params: Params, h0: Any, batch: int, target: launch.Target) -> Any:
    """h0, checked; codes that lie on the GPU stay there."""
    if target.kind == "gpu" and params.datapath != "mshift-dynamic" and launch.is_gpu_array(h0):
        array = launch.gpu_array(h0)
        if array.shape == (batch, params.hidden_size):
            found = _codes(array.reshape((1, *array.shape)), params.fmt_h, target)
            if found is not None:
                return found[0]
    return checked_state(params, h0 if isinstance(h0, DynamicState) else launch.host_array("h0", h0), batch)


def _codes(array: Any, fmt: IntFormat, target: launch.Target) -> Any:
    """int32 codes [.,.,.] of an array on the GPU; None when they are not integers of the format, which the host explains."""
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        return None
    placed, bad = target.empty(array.shape, np.int32), target.put(np.zeros(1, np.int32))
    target.run("receive_codes", array.shape[0] * array.shape[1], array, fmt.qmin, fmt.qmax, placed, bad)
    return placed if target.get(bad)[0] == 0 else None
