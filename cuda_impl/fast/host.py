"""The host build."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cuda_impl.fast.network import DynamicRun, narrowest_dtype
from cuda_impl.sequence import forward as twin
from golden.spec.errors import ParameterError
from golden.spec.params import Params


@dataclass(frozen=True, eq=False)
class HostNetwork:
    """A parameter set on the host."""

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
        """h [T+1,N,H], or a DynamicRun.  [SPEC S]"""
        t = twin(self.params, x, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse, device="host")
        h = t.h.astype(narrowest_dtype(self.params.fmt_h))
        if out is not None:
            if not isinstance(out, np.ndarray) or out.dtype != h.dtype or out.shape != h.shape:
                raise ParameterError("out", repr(type(out).__name__), f"an array of {h.dtype} of shape {list(h.shape)}")
            out[:] = h
            h = out
        if t.state is None:
            return h
        first = t["s_h"][-1 if reverse else 0] if len(h) > 1 else t.state.s_h
        zp = t["zp_h"][-1 if reverse else 0] if len(h) > 1 else t.state.zp_h
        return DynamicRun(
            h, np.concatenate([[first], t["s_h"]]).astype(np.float32), np.concatenate([[zp], t["zp_h"]]).astype(np.int32), t.state
        )


def prepare_host(params: Params) -> HostNetwork:
    """A network on the host."""
    return HostNetwork(params)
