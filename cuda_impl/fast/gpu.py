"""A parameter set on a GPU: packed once, run many times, only the states.  [SPEC S]

prepare_gpu(params).forward(x) takes and gives arrays on the device: torch tensors where x is one, else Numba device arrays.
Weights, constants and tables stay on the device; a repeated run allocates nothing on the host, copies nothing and compiles
nothing, runs on the caller's stream and may be captured in a CUDA graph; only a set with moving ranges waits for its result,
and allocates small arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_pack
from cuda_impl.fast.gpu_shape import LARGEST
from golden.spec.params import MShiftDynamicParams, MShiftParams, Params, PotParams


def prepare_gpu(params: Params) -> Any:
    """A parameter set on the current device, ready to run there by the fastest kernel that takes it, whatever is current then.

    Raises   ParameterError, at a run, for an array that lies on another device
    """
    from cuda_impl.fast.gpu_device import at_home
    from cuda_impl.fast.gpu_driver import device_number

    return at_home(_prepared(params), device_number())


def _prepared(params: Params) -> Any:
    from cuda_impl.fast import gpu_grid_network
    from cuda_impl.fast.gpu_moving_cluster_network import MovingClusterNetwork
    from cuda_impl.fast.gpu_moving_network import MovingNetwork, takes_moving
    from cuda_impl.fast.gpu_network import ClusterNetwork
    from cuda_impl.fast.gpu_steps_network import StepNetwork
    from cuda_impl.fast.gpu_twin import TwinNetwork

    if isinstance(params, MShiftDynamicParams):
        if not takes_moving(params):
            return TwinNetwork(params)
        return MovingClusterNetwork(params) if params.hidden_size <= LARGEST else MovingNetwork(params)
    if not takes(params):
        return TwinNetwork(params)
    if params.hidden_size > gpu_grid_network.LARGEST:
        return StepNetwork(params) if fits_bytes(params) else TwinNetwork(params)
    if not fits_bytes(params):
        return gpu_grid_network.GridNetwork(params, 2)
    return ClusterNetwork(params) if params.hidden_size <= LARGEST else gpu_grid_network.GridNetwork(params, 1)


def fits_bytes(params: MShiftParams | PotParams) -> bool:
    """Whether weights, input and state have at most 8 bits."""
    if isinstance(params, MShiftParams):
        return True
    widths = [params.operators[f"weight.{k}"].fmt.bits for k in "WR"] + [params.fmt_x.bits, params.fmt_h.bits]
    return max(widths) <= 8


def takes(params: MShiftParams | PotParams) -> bool:
    """Whether every intermediate fits the arithmetic of the fast kernels; only sets with extreme zero points, or with tens of
    thousands of inputs, do not."""
    return sums_fit(params) and (isinstance(params, MShiftParams) or gpu_pack.pot_width(params) is not None)


def sums_fit(params: MShiftParams | PotParams) -> bool:
    """Whether the tensor cores' sums, of codes less their offset times weights, stay inside int32.  [SPEC L-2]"""
    if not fits_bytes(params):
        from cuda_impl.fast.gpu_limbs import MOST_TERMS

        return params.input_size <= MOST_TERMS
    most = max(int(np.abs(np.asarray(weights, np.int64)).sum(axis=0).max()) for weights in (params.W, params.R))
    return 128 * most < 2**31
