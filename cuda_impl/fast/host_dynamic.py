"""Moving ranges on the host.  [SPEC D]"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.fast.network import DynamicRun
from cuda_impl.sequence import forward as twin
from golden.spec.params import MShiftDynamicParams


@dataclass(frozen=True, eq=False)
class HostDynamicNetwork:
    """A set with moving ranges on the host."""

    params: MShiftDynamicParams

    def forward(self, x: Any, h0: Any = None, *, reverse: bool = False, out: Any = None, **options: Any) -> DynamicRun:
        """The run of the twin."""
        t = twin(self.params, x, h0, reverse=reverse, device="host", **options)
        assert t.state is not None
        first = t["s_h"][-1 if reverse else 0] if len(t.h) > 1 else t.state.s_h
        zp = t["zp_h"][-1 if reverse else 0] if len(t.h) > 1 else t.state.zp_h
        scales, zero_points = np.append(np.float32(first), t["s_h"]), np.append(np.int32(zp), t["zp_h"])
        return DynamicRun(t.h.astype(np.int8), scales, zero_points, t.state)


def prepare_dynamic(params: MShiftDynamicParams, isa: str) -> HostDynamicNetwork:
    """A network with moving ranges on the host."""
    return HostDynamicNetwork(params)
