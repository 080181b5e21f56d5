"""What the options of a run mean to a kernel, and what several networks share beside it.  [SPEC Z]"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.fast.gpu_arrays import put
from cuda_impl.hidden import zoneout_factor
from golden.spec.trace import check_options


def placed_options(
    mask: Any, zoneout: float, training: bool, shape: tuple[int, int, int], none: Any
) -> tuple[int, int, Any]:
    """(how zoneout is done: 0 not, 1 a blend, 2 a mask; blend factor; mask on the device).  [SPEC Z]

    none  what stands on the device for a missing mask
    """
    if mask is None and not training and zoneout == 0.0:
        return 0, 0, none
    options = check_options(launch.host_array("mask", mask), zoneout, training, shape)
    if options.mask is not None:
        return 2, 0, put(options.mask.astype(np.int8))
    return (1, int(zoneout_factor(options.zoneout)), none) if options.blend else (0, 0, none)


def stepped(network: Any) -> Any:
    """The network of one product a step of another one's set, made when first asked for, and kept there."""
    from cuda_impl.fast.gpu_steps_network import StepNetwork

    with network._lock:
        if network._steps is None:
            network._steps = StepNetwork(network.params)
        return network._steps
