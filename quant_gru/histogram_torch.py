"""The histogram of a torch tensor on the device where it is: the counts of quant_gru.histogram.count."""

from __future__ import annotations

from typing import Any

import numpy as np

from quant_gru.histogram import BINS, EMPTY, Histogram, finite_range, window


def count_tensor(values: Any, *, name: str = "values") -> Histogram:
    """The histogram of a tensor of real numbers, taken as float64; only 2048 counts and two extremes leave the device.

    Raises   RangeError naming name when a value is NaN or inf
    """
    import torch

    flat = values.detach().reshape(-1).to(torch.float64)
    if not flat.numel():
        return EMPTY
    low, high = (float(v) for v in torch.aminmax(flat))
    finite_range(low, high, name)
    exponent, start = window(low, high)
    bins = torch.floor(flat * 2.0**-exponent)
    if exponent > 0:
        bins = torch.where((flat < 0) & (bins == 0), torch.full_like(bins, -1), bins)
    counts = torch.bincount((bins - start).to(torch.int64), minlength=BINS)
    return Histogram(counts.cpu().numpy().astype(np.int64), exponent, start, low, high)
