"""A batch on one GPU beside the same batch on all visible ones: the same bits or no figure.

    python benchmarks/spread_gpu.py OUT.json
    python benchmarks/spread_gpu.py OUT.json --sizes 512,1024,512,512 --modes mshift --repeat 9
    python benchmarks/spread_gpu.py OUT.json --dry-run --sizes 8,6,4,4

Times are medians by CUDA events on the first GPU, from int8 codes there to int8 states there, so that sending rows and
bringing states back are included. Before anything is timed, the first and the last row of every GPU's block are held against
golden over the first 16 steps, all codes of the whole run against one GPU's, and twenty more runs must give the same bytes;
Numba's arrays and NumPy's are run once too. The dry run takes two host networks for GPUs. The exit code is 1 when something
differs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cuda_impl import launch  # noqa: E402
from cuda_impl.fast.spread import Place, SpreadNetwork, cuts  # noqa: E402
from golden.sequence import forward  # noqa: E402
from golden.spec.errors import ParameterError, QgruError  # noqa: E402
from qgru.bench_floors import cuda_timer  # noqa: E402
from qgru.bench_modes import drawn  # noqa: E402
from qgru.bench_suites import machine  # noqa: E402
from qgru.files import atomic_file  # noqa: E402
from qgru.run import os_sentence  # noqa: E402
from quant_gru.build import mshift_params, pot_params  # noqa: E402
from quant_gru.calibrate import calibrate  # noqa: E402

SIZES = "512,64,1024,1024 512,128,1024,1024 512,512,512,512 512,1024,1024,1024 128,4096,256,256 128,512,2048,2048".split()
STEPS, REPEATS = 16, 20
MODES = {"mshift": mshift_params, "pot": lambda gru, ranges: pot_params(gru, ranges, 8)}


class Gpus:
    """All visible GPUs, and torch on the first."""

    def __init__(self) -> None:
        import torch

        from cuda_impl.fast.gpu_device import device_count

        self.torch, self.count = torch, device_count()
        if self.count < 2:
            raise ParameterError("the number of visible GPUs", self.count, "two or more")

    def names(self) -> list[str]:
        return [self.torch.cuda.get_device_name(n) for n in range(self.count)]

    def prepared(self, params: Any, count: int) -> Any:
        """A network on the first `count` GPUs; on one the plain network."""
        from cuda_impl.fast.gpu_spread import prepare_spread
        from cuda_impl.fast.network import prepare

        return prepare(params, "gpu") if count == 1 else prepare_spread(params, list(range(count)))

    def put(self, x: np.ndarray) -> Any:
        return self.torch.from_numpy(x).cuda()

    def get(self, h: Any) -> np.ndarray:
        return h.cpu().numpy() if hasattr(h, "cpu") else h.copy_to_host()

    def others(self, x: np.ndarray) -> dict[str, Any]:
        """The same input as other arrays."""
        from numba import cuda

        return {"NumPy": x, "Numba": cuda.to_device(x)}

    def timed(self, call: Callable[[], Any], repeat: int) -> float:
        call()
        call()
        return 1e3 * statistics.median(cuda_timer(call, 1) for _ in range(repeat))


class Hosts:
    """Two host networks in the place of GPUs, for a run without one."""

    count = 2

    def names(self) -> list[str]:
        return ["a host network in the place of a GPU"] * self.count

    def prepared(self, params: Any, count: int) -> Any:
        from cuda_impl.fast.gpu_spread import DeviceTransport
        from cuda_impl.fast.host import prepare_host
        from tests.cuda_impl.spread_places import SlowMachine, SlowNetwork

        if count == 1:
            return prepare_host(params)
        self.slow = slow = SlowMachine()
        places = tuple(Place(n, f"host {n}", SlowNetwork(params, slow, n)) for n in range(count))
        return SpreadNetwork(params, places, lambda x: DeviceTransport(slow, x, 0), False)

    def put(self, x: np.ndarray) -> Any:
        return x

    def get(self, h: Any) -> np.ndarray:
        if isinstance(h, np.ndarray):
            return h
        with self.slow.on(h.device):
            self.slow.wait()
        return h.data

    def others(self, x: np.ndarray) -> dict[str, Any]:
        return {"NumPy": x}

    def timed(self, call: Callable[[], Any], repeat: int) -> float:
        found = []
        for _ in range(repeat):
            begin = time.perf_counter()
            call()
            found.append(1e3 * (time.perf_counter() - begin))
        return statistics.median(found)


def counts(most: int) -> list[int]:
    """1, 2, 4, ... and all."""
    return sorted({1, most, *(2**k for k in range(1, most.bit_length()) if 2**k <= most)})


def differing(where: Any, params: Any, single: Any, spread: Any, count: int, x: np.ndarray) -> dict[str, int]:
    """How many codes differ: from golden, from one GPU, between runs, and of other kinds of arrays."""
    there = where.put(x)
    h = where.get(spread.forward(there))
    rows = sorted({row for start, stop in cuts(x.shape[1], count) for row in (start, stop - 1)})
    steps = min(STEPS, x.shape[0])
    wanted = forward(params, np.ascontiguousarray(x[:steps, rows])).h
    found = {"golden": int((h[: steps + 1, rows] != wanted).sum())}
    found["one GPU"] = int((h != where.get(single.forward(there))).sum())
    found["repeats"] = sum(where.get(spread.forward(there)).tobytes() != h.tobytes() for _ in range(REPEATS))
    for name, array in where.others(x).items():
        found[name] = int((where.get(spread.forward(array)) != h).sum())
    for network in (single, spread):
        getattr(network, "check", lambda: None)()
    return found


def measured(where: Any, size: tuple[int, int, int, int], mode: str, repeat: int) -> dict[str, Any]:
    """A line: the figures of a size by the number of GPUs."""
    steps, batch, inputs, hidden = size
    network = drawn((STEPS, 4, inputs, hidden))
    params = MODES[mode](network.gru, calibrate(network.gru, [network.x]))
    x = np.random.default_rng(batch * hidden).integers(-128, 128, (steps, batch, inputs)).astype(np.int8)
    line: dict[str, Any] = {"T": steps, "N": batch, "C": inputs, "H": hidden, "mode": mode, "differ": {}, "ms": {}}
    single = where.prepared(params, 1)
    for count in counts(where.count):
        made = single if count == 1 else where.prepared(params, count)
        line["differ"][count] = differing(where, params, single, made, count, x)
        if any(line["differ"][count].values()):
            continue
        there = where.put(x)
        line["ms"][count] = round(where.timed(lambda made=made, there=there: made.forward(there), repeat), 4)
    if 1 in line["ms"]:
        line["times_faster"] = {n: round(line["ms"][1] / ms, 2) for n, ms in line["ms"].items() if n > 1}
    return line


def size_of(text: str) -> tuple[int, int, int, int]:
    """T,N,C,H."""
    words = text.split(",")
    if len(words) != 4 or not all(word.isascii() and word.isdigit() and 0 < int(word) < 10**6 for word in words):
        raise ParameterError("--sizes", repr(text), "T,N,C,H, each from 1 to 999999")
    steps, batch, inputs, hidden = map(int, words)
    return steps, batch, inputs, hidden


def main() -> int:
    """0 when every code is equal, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the JSON goes")
    parser.add_argument("--sizes", nargs="+", metavar="T,N,C,H", default=SIZES)
    parser.add_argument("--modes", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--dry-run", action="store_true", help="two host networks in the place of GPUs")
    arguments = parser.parse_args()
    sizes = [size_of(text) for text in arguments.sizes]
    if not 1 <= arguments.repeat <= 1000:
        raise ParameterError("--repeat", arguments.repeat, "1 to 1000")
    if not arguments.dry_run:
        launch.target("gpu")
    where: Any = Hosts() if arguments.dry_run else Gpus()
    device = "host" if arguments.dry_run else "gpu"
    record = {"machine": machine(device), "devices": where.names(), "dry_run": arguments.dry_run, "sizes": []}
    for size in sizes:
        for mode in arguments.modes:
            line = measured(where, size, mode, arguments.repeat)
            record["sizes"].append(line)
            print(json.dumps(line), file=sys.stderr, flush=True)
            with atomic_file(arguments.out) as file:
                file.write(json.dumps(record, indent=1) + "\n")
    return int(any(n for line in record["sizes"] for found in line["differ"].values() for n in found.values()))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ModuleNotFoundError as error:
        print(f"spread_gpu: {error.name} is not installed, expected it here", file=sys.stderr)
    except (QgruError, OSError) as error:
        print(f"spread_gpu: {os_sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
    raise SystemExit(2)
