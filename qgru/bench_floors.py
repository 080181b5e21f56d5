"""What the machine can do at most, measured in the same run: meeting, copying, int8 products.  And how far a run is from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cuda_impl.launch import workers
from qgru.bench_measure import Call, figure, gru_macs

COPY_BYTES = 1 << 26
GEMM = 4096


def host_floors() -> dict[str, Any]:
    """int8 products a second out of registers, seconds of a meeting, copy bandwidth; on one core and on all."""
    from cuda_impl.fast.host_ir import best_isa
    from cuda_impl.fast.host_measure import dot_rate, meeting_seconds

    counts = sorted({1, workers()})
    source, target = np.ones(COPY_BYTES, np.uint8), np.zeros(COPY_BYTES, np.uint8)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return {
        "isa": best_isa(),
        "int8_gmac_s": {str(n): figure(dot_rate(n) / 1e9) for n in counts},
        "meeting_us": {str(n): figure(1e6 * meeting_seconds(n)) for n in counts},
        "copy_gb_s": figure(2 * COPY_BYTES / best / 1e9),
    }


def cuda_timer(call: Call, times: int) -> float:
    """Seconds of a call by CUDA events, over so many in a row."""
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(times):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3 / times


def gpu_floors() -> dict[str, Any]:
    """The faster int8 product of torch's and ours, device copies, and blocks that only meet."""
    import torch

    a, b = (torch.ones((GEMM, GEMM), dtype=torch.int8, device="cuda") for _ in range(2))
    big = torch.ones(1 << 28, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(big)

    def best(call: Callable[[], Any]) -> float:
        cuda_timer(call, 5)
        return min(cuda_timer(call, 20) for _ in range(5))

    found: dict[str, Any] = {
        "int8_gmac_s_of": {"torch._int_mm": figure(GEMM**3 / best(lambda: torch._int_mm(a, b.t())) / 1e9)},
        "copy_gb_s": figure(2 * big.numel() / best(lambda: other.copy_(big)) / 1e9),
    }
    try:
        from cuda_impl.fast.gpu_measure import measure_meetings, measure_product

        found["int8_gmac_s_of"]["qgru"] = figure(measure_product(GEMM) / 1e9)
        found["meetings_us"] = {name: figure(us) for name, us in measure_meetings().items()}
        found["barrier_us"] = found["meetings_us"]["cluster"]  # what a step of the quickest kernel waits for at least
    except ImportError as error:
        found["barrier_us"] = f"not measured: {error}"
    found["int8_gmac_s"] = max(found["int8_gmac_s_of"].values())
    return found


def distance(size: tuple[int, int, int, int], median_ms: float, floors: dict[str, Any]) -> dict[str, Any]:
    """The time that the machine's int8 rate and its meetings would leave, and how many times that a run takes."""
    steps = size[0]
    if "meeting_us" in floors:
        counts = sorted(floors["meeting_us"], key=int)
        alone, all_of = floors["int8_gmac_s"][counts[0]], floors["int8_gmac_s"][counts[-1]]
        products = gru_macs(*size) / 1e6
        together = products / all_of + steps * floors["meeting_us"][counts[-1]] / 1e3
        floor = min(products / alone, together)
    else:
        floor = gru_macs(*size) / 1e6 / floors["int8_gmac_s"]
        if isinstance(floors.get("barrier_us"), (int, float)):
            floor += steps * floors["barrier_us"] / 1e3
    return {"floor_ms": figure(floor), "times_the_floor": figure(median_ms / floor) if floor > 0 else None}
