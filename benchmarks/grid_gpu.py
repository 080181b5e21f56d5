"""Our states beside cuDNN's GRU over a grid of sizes on one GPU, exact or no figure.

    python benchmarks/grid_gpu.py OUT.json [--plot OUT.png]
    python benchmarks/grid_gpu.py OUT.json --hidden 2048 --batch 128 512

Times are medians of nine by CUDA events, from int8 codes on the device to int8 states on the device, the input product
included; cuDNN's are from float x to float h, the faster of binary32 and binary16. Two drawn rows of every network are held
against golden over all steps of T = 16, and all rows of T = 128 and 512 begin with the same bytes.
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

from cuda_impl.fast.network import prepare  # noqa: E402
from golden.sequence import forward  # noqa: E402
from golden.spec.errors import QgruError  # noqa: E402
from qgru.bench_floors import cuda_timer  # noqa: E402
from qgru.bench_modes import drawn  # noqa: E402
from qgru.bench_suites import machine  # noqa: E402
from qgru.files import atomic_file  # noqa: E402
from quant_gru.build import mshift_params, pot_params  # noqa: E402
from quant_gru.calibrate import calibrate  # noqa: E402

STEPS, BATCHES, HIDDEN = (16, 128, 512), (1, 8, 32, 128, 512), (64, 128, 256, 512, 1024, 2048)


def timed(call: Callable[[], Any], count: int = 9) -> float:
    """The median of `count` runs, in milliseconds, warm."""
    call()
    call()
    return 1e3 * statistics.median(cuda_timer(call, 1) for _ in range(count))


def cudnn(steps: int, batch: int, hidden: int) -> dict[str, float]:
    """torch.nn.GRU by cuDNN, milliseconds by type."""
    import torch

    found = {}
    for name, dtype in (("fp32", torch.float32), ("fp16", torch.float16)):
        gru = torch.nn.GRU(hidden, hidden).cuda().to(dtype)
        x = torch.randn(steps, batch, hidden, device="cuda", dtype=dtype)
        with torch.no_grad():
            found[name] = timed(lambda gru=gru, x=x: gru(x))
    return found


def compared(params: Any, network: Any, batch: int, hidden: int) -> int:
    """How many codes of two drawn rows differ from golden."""
    import torch

    rng = np.random.default_rng(batch * hidden)
    x = rng.integers(-128, 128, (STEPS[0], batch, hidden)).astype(np.int8)
    got = network.forward(torch.from_numpy(x).cuda()).cpu().numpy()
    rows = np.unique(rng.integers(0, batch, 2))
    return int((got[:, rows] != forward(params, x[:, rows]).h).sum())


def measured(hidden: int, batches: tuple[int, ...]) -> list[dict[str, Any]]:
    """The lines of one hidden size."""
    import torch

    float_network = drawn((16, 4, hidden, hidden))
    ranges = calibrate(float_network.gru, [float_network.x])
    sets = {"mshift": mshift_params(float_network.gru, ranges), "pot": pot_params(float_network.gru, ranges, 8)}
    prepared = {name: prepare(p, "gpu") for name, p in sets.items()}
    lines = []
    for batch in batches:
        wrong = {name: compared(sets[name], prepared[name], batch, hidden) for name in sets}
        for steps in STEPS:
            x = torch.randint(-128, 128, (steps, batch, hidden), dtype=torch.int8, device="cuda")
            peers = cudnn(steps, batch, hidden)
            line: dict[str, Any] = {"T": steps, "N": batch, "C": hidden, "H": hidden, "cudnn_ms": peers}
            line |= {"ours_ms": {}, "ratio": {}}
            for name, network in prepared.items():
                first = network.forward(x)
                begin = network.forward(x[: STEPS[0]].contiguous())
                equal = bool((first[: STEPS[0] + 1] == begin).all()) and bool((network.forward(x) == first).all())
                network.check()
                if wrong[name] or not equal:
                    line["ours_ms"][name] = f"not exact: {wrong[name]} codes differ from golden"
                    continue
                ms = timed(lambda network=network, x=x, first=first: network.forward(x, out=first))
                line["ours_ms"][name], line["ratio"][name] = round(ms, 4), round(min(peers.values()) / ms, 2)
            lines.append(line)
            print(line, file=sys.stderr, flush=True)
    return lines


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Times over N and over H at T = 512."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for axis, over, fixed, value in ((axes[0], "N", "H", 512), (axes[1], "H", "N", 32)):
        chosen = [line for line in lines if line["T"] == 512 and line[fixed] == value]
        for name in ("mshift", "pot"):
            points = [(line[over], line["ours_ms"][name]) for line in chosen if name in line["ratio"]]
            axis.plot(*zip(*points), marker="o", label=f"ours, {name}")
        for name in ("fp32", "fp16"):
            points = [(line[over], line["cudnn_ms"][name]) for line in chosen]
            axis.plot(*zip(*points), marker="s", ls="--", label=f"cuDNN {name}")
        axis.set(xscale="log", yscale="log", xlabel=over, ylabel="ms", title=f"T = 512, {fixed} = {value}")
        axis.grid(True, which="both", alpha=0.3)
        axis.legend()
    figure.tight_layout()
    with atomic_file(path, text=False) as file:
        figure.savefig(file, format="png", dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--hidden", type=int, nargs="+", choices=HIDDEN, default=HIDDEN, help="only these sizes")
    parser.add_argument("--batch", type=int, nargs="+", choices=BATCHES, default=BATCHES, help="only these batches")
    parser.add_argument("--redraw", action="store_true", help="only plot what OUT holds")
    arguments = parser.parse_args()
    if arguments.redraw:
        plot(json.loads(arguments.out.read_text())["grid"], arguments.plot)
        return 0
    lines: list[dict[str, Any]] = []
    for hidden in arguments.hidden:
        lines += measured(hidden, tuple(arguments.batch))
        record = {"machine": machine("gpu"), "grid": lines}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    if arguments.plot:
        plot(lines, arguments.plot)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (QgruError, OSError) as error:
        print(f"grid_gpu: {error}", file=sys.stderr)
        sys.exit(2)
