"""A parameter set made ready once, and run many times: only the states, at the speed of the machine.  [SPEC S]

    network = prepare(params, device="host")
    h = network.forward(x)                 # [T+1,N,H] codes in the narrowest type

The whole trace is cuda_impl.sequence.forward's business; here every intermediate lives in a register.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cuda_impl import launch
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import PARAMETER_SETS, Params
from golden.spec.trace import DynamicState


@dataclass(frozen=True, eq=False)
class DynamicRun:
    """What a run with moving ranges gives back.  [SPEC D-3]

    h            int8 [T+1,N,H], codes in time order, h[0] the initial state
    scales       float32 [T+1], the scale that h[t] carries
    zero_points  int32 [T+1], its zero point
    state        where the run stands, to go on from
    """

    h: Any
    scales: np.ndarray
    zero_points: np.ndarray
    state: DynamicState


class Network(Protocol):
    """What prepare returns, on the host and on the GPU."""

    params: Params

    def forward(
        self,
        x: Any,
        h0: Any = None,
        *,
        mask: Any = None,
        zoneout: float = 0.0,
        training: bool = False,
        reverse: bool = False,
        out: Any = None,
    ) -> Any:
        """h codes [T+1,N,H] in narrowest_dtype(fmt_h), or for moving ranges a DynamicRun; see the twin's.  [SPEC S]

        out      where to put them: contiguous, of that shape and type, on the device; a tensor where x is one on a GPU
        Raises   ParameterError for an argument that does not fit, before anything runs
        """
        ...


def narrowest_dtype(fmt: IntFormat) -> np.dtype:
    """int8, uint8, int16 or uint16: the least type that holds every code of fmt."""
    if fmt.signed:
        return np.dtype(np.int8 if fmt.bits <= 8 else np.int16)
    return np.dtype(np.uint8 if fmt.bits <= 8 else np.uint16)


def prepare(params: Params, device: str = "auto") -> Network:
    """Pack the weights, constants and tables of a set for a device; the result may be run any number of times.

    device   "auto" (a usable GPU, else the host), "gpu" (the current one), "gpus" (all that are visible, a batch cut between
             them) or "host"
    Raises   ParameterError for anything else, or a device that is not there
    """
    if type(params) not in PARAMETER_SETS.values():
        raise ParameterError("params", type(params).__name__, "a parameter set of golden.spec.params")
    if device not in ("auto", "gpu", "gpus", "host"):
        raise ParameterError("device", repr(device), "one of auto, gpu, gpus, host")
    if device == "gpus":
        from cuda_impl.fast.gpu_spread import prepare_spread

        return prepare_spread(params)
    if launch.target(device).kind == "gpu":
        from cuda_impl.fast.gpu import prepare_gpu

        return prepare_gpu(params)
    from cuda_impl.fast.host import prepare_host

    return prepare_host(params)
