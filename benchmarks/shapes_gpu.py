"""One recurrence cut up in different ways on one GPU, as the rules of gpu_shape.py were measured; exact or no figure.

    python benchmarks/shapes_gpu.py OUT.json
    python benchmarks/shapes_gpu.py OUT.json --sizes 512,128,1024,1024 --modes mshift --clusters 4 5 6

A line is a size, a mode and a way to cut it up: as the rules choose, by single warps or by four together, with so many
clusters. It has the milliseconds of a whole run, from int8 codes on the GPU to int8 states there, and of the recurrence
alone, medians of nine by CUDA events. Before that the first, the last and a middle row are held against golden over the
first 24 steps, and five more runs must give the same bytes. The exit code is 1 when something differs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.spread_gpu import MODES, size_of  # noqa: E402
from cuda_impl import launch  # noqa: E402
from cuda_impl.fast import gpu_driver as driver  # noqa: E402
from cuda_impl.fast.gpu_arrays import address  # noqa: E402
from cuda_impl.fast.gpu_layout import Shape  # noqa: E402
from cuda_impl.fast.gpu_network import ClusterNetwork  # noqa: E402
from cuda_impl.fast.gpu_shape import shape_for  # noqa: E402
from golden.sequence import forward  # noqa: E402
from golden.spec.errors import ParameterError, QgruError  # noqa: E402
from qgru.bench_floors import cuda_timer  # noqa: E402
from qgru.bench_modes import drawn  # noqa: E402
from qgru.bench_suites import machine  # noqa: E402
from qgru.files import atomic_file  # noqa: E402
from qgru.run import os_sentence  # noqa: E402
from quant_gru.calibrate import calibrate  # noqa: E402

SIZES = ("512,64,1024,1024", "512,128,1024,1024", "512,512,512,512")
WAYS = {"chosen": None, "single": False, "grouped": True}
STEPS, REPEATS, EVERY = 24, 5, 1 << 20


def timed(call: Callable[[], Any]) -> float:
    """Milliseconds, the median of nine warm calls."""
    call()
    call()
    return round(1e3 * statistics.median(cuda_timer(call, 1) for _ in range(9)), 4)


def measured(network: Any, shape: Shape, x: np.ndarray) -> dict[str, Any]:
    """What a shape takes, or how it differs."""
    import torch

    there = torch.from_numpy(x).cuda()
    h = network.forward(there, shape=shape)
    network.check()
    rows, steps = sorted({0, x.shape[1] // 3, x.shape[1] - 1}), min(STEPS, x.shape[0])
    wanted = forward(network.params, np.ascontiguousarray(x[:steps, rows])).h
    line: dict[str, Any] = {
        "clusters": -(-x.shape[1] // shape.valid),
        "rows": shape.valid,
        "grouped": shape.grouped,
        "differ": int((h.cpu().numpy()[: steps + 1, rows] != wanted).sum()),
        "repeats": sum(not torch.equal(network.forward(there, shape=shape), h) for _ in range(REPEATS)),
    }
    if line["differ"] or line["repeats"]:
        return line
    line["ms"] = timed(lambda: network.forward(there, out=h, shape=shape))
    plan = next(plan for plan in network._plans.values() if plan.shape == shape)
    if plan.ready is not None:  # every piece of the input product is there
        driver.set_words(address(plan.ready), EVERY, int(torch.cuda.current_stream().cuda_stream))
    line["recurrence_ms"], line["share_before"] = timed(plan.recurrence.start), plan.share
    network.check()
    return line


def lines_of(size: tuple[int, int, int, int], mode: str, clusters: list[int]) -> list[dict[str, Any]]:
    """The lines of a size and a mode."""
    steps, batch, inputs, hidden = size
    drawn_network = drawn((16, 4, inputs, hidden))
    network = ClusterNetwork(MODES[mode](drawn_network.gru, calibrate(drawn_network.gru, [drawn_network.x])))
    x = np.random.default_rng(batch * hidden).integers(-128, 128, (steps, batch, inputs)).astype(np.int8)
    found = []
    for way, grouped in WAYS.items():
        for count in [None, *(clusters if grouped is not None else [])]:
            line = {"T": steps, "N": batch, "C": inputs, "H": hidden, "mode": mode, "way": way}
            work = batch * inputs * 3 * hidden
            try:
                shape = shape_for(hidden, batch, network.kind, work, clusters=count, grouped=grouped)
            except ParameterError as error:
                line["no shape"] = str(error)
            else:
                line |= measured(network, shape, x)
            found.append(line)
            print(json.dumps(line), file=sys.stderr, flush=True)
    return found


def main() -> int:
    """0 when every code is equal, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the JSON goes")
    parser.add_argument("--sizes", nargs="+", metavar="T,N,C,H", default=SIZES)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--clusters", nargs="+", type=int, default=[], help="cluster counts beside those of the rules")
    arguments = parser.parse_args()
    sizes = [size_of(text) for text in arguments.sizes]
    launch.target("gpu")
    found = [line for size in sizes for mode in arguments.modes for line in lines_of(size, mode, arguments.clusters)]
    with atomic_file(arguments.out) as file:
        file.write(json.dumps({"machine": machine("gpu"), "lines": found}, indent=1) + "\n")
    return int(any(line.get("differ") or line.get("repeats") for line in found))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ModuleNotFoundError as error:
        print(f"shapes_gpu: {error.name} is not installed, expected it here", file=sys.stderr)
    except (QgruError, OSError) as error:
        print(f"shapes_gpu: {os_sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
    raise SystemExit(2)
