"""Sets that no fast kernel takes: the twin's own programs on the GPU, states only.  Exact, and not fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import sequence
from cuda_impl.fast.gpu_arrays import fill, output_codes, put, torch_of
from cuda_impl.fast.network import DynamicRun, narrowest_dtype
from golden.spec.params import Params
from golden.spec.trace import DynamicState


class TwinNetwork:
    """prepare's network by way of the whole trace; see cuda_impl.fast.network."""

    def __init__(self, params: Params) -> None:
        self.params = params

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
        """h [T+1,N,H] on the device, or a DynamicRun; arguments as in the twin."""
        torch = torch_of(x)
        if torch is not None:  # the twin's programs run on the default stream
            torch.cuda.default_stream().wait_stream(torch.cuda.current_stream())
        fmt, given = self.params.fmt_h, tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
        if out is not None and len(given) == 3:  # any other x is refused by the twin
            out = output_codes(torch, out, x, (given[0] + 1, given[1], self.params.hidden_size), narrowest_dtype(fmt))
        trace = sequence.forward(
            self.params, x, h0, mask=mask, zoneout=zoneout, training=training, reverse=reverse, device="gpu"
        )
        codes = np.ascontiguousarray(trace.h.astype(narrowest_dtype(fmt)))
        placed = torch.from_numpy(codes).to(x.device) if torch is not None else put(codes)
        placed = placed if out is None else fill(out, placed)
        if self.params.datapath != "mshift-dynamic":
            return placed
        assert trace.state is not None
        first = np.flatnonzero(np.arange(trace.fields["s_h"].size) == (trace.fields["s_h"].size - 1 if reverse else 0))
        if isinstance(h0, DynamicState):
            scale, zero_point = np.float32(h0.s_h), np.int32(h0.zp_h)
        elif first.size:
            scale, zero_point = trace.fields["s_h"][first[0]], trace.fields["zp_h"][first[0]]
        else:
            scale, zero_point = np.float32(trace.state.s_h), np.int32(trace.state.zp_h)
        scales = np.concatenate([[scale], trace.fields["s_h"]]).astype(np.float32)
        zero_points = np.concatenate([[zero_point], trace.fields["zp_h"]]).astype(np.int32)
        return DynamicRun(placed, scales, zero_points, trace.state)
