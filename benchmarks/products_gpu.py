"""Our product of int8 matrices beside torch's on one GPU, exact or no figure.

    python benchmarks/products_gpu.py OUT.json
    python benchmarks/products_gpu.py OUT.json --sizes 512,2048,2048 65536,1024,1024

A size is rows, terms and hidden units: codes [rows, terms] times weights [terms, 3 * units]. Times are medians of seven by CUDA
events of a recorded graph of twenty products, in microseconds: in blocks of 128 rows (gpu_gemm), by the kernel for any sizes
(gpu_input), and by torch._int_mm; `chosen` is the one that networks take. Before that all int32 sums are held against
torch's in binary64, which is exact for them. The exit code is 1 when something differs.
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

from cuda_impl import launch  # noqa: E402
from cuda_impl.fast import gpu_products  # noqa: E402
from cuda_impl.fast.gpu_arrays import address  # noqa: E402
from golden.spec.errors import ParameterError, QgruError  # noqa: E402
from qgru.bench_floors import cuda_timer  # noqa: E402
from qgru.bench_suites import machine  # noqa: E402
from qgru.files import atomic_file  # noqa: E402
from qgru.run import os_sentence  # noqa: E402

SIZES = (
    "512,256,256 128,2048,2048 512,1024,1024 1024,1024,1024 512,2048,2048 1024,2048,2048 128,3072,3072 16384,128,256 "
    "16384,512,512 4096,1024,1024 65536,1024,1024"
).split()
IN_A_GRAPH = 20
WAYS = {"blocks": 0, "any": 1 << 62, "chosen": gpu_products.WORTH}


def microseconds(start: Callable[[int], Any]) -> float:
    """Of one of the products that start(stream) starts, in a recorded graph."""
    import torch

    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    number = int(stream.cuda_stream)
    with torch.cuda.stream(stream):
        start(number)
        stream.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            for _ in range(IN_A_GRAPH):
                start(number)
    graph.replay()
    return round(1e6 * statistics.median(cuda_timer(graph.replay, 1) for _ in range(7)) / IN_A_GRAPH, 2)


def measured(rows: int, terms: int, hidden: int) -> dict[str, Any]:
    """The line of a size."""
    import torch

    W = np.random.default_rng(terms).integers(-128, 128, (terms, 3 * hidden)).astype(np.int8)
    x = torch.randint(-128, 128, (rows, terms), dtype=torch.int8, device="cuda")
    columns = torch.from_numpy(np.ascontiguousarray(W.T)).cuda().t()
    out = torch.empty((rows, 3 * hidden), dtype=torch.int32, device="cuda")
    wanted = (x.double() @ columns.double()).to(torch.int32)
    line: dict[str, Any] = {"rows": rows, "terms": terms, "units": hidden, "differ": {}, "us": {}}
    worth = gpu_products.WORTH
    try:
        for way, gpu_products.WORTH in WAYS.items():
            product, made = gpu_products.Product(W, hidden), dict[int, Any]()

            def start(stream: int, product: Any = product, kept: dict[int, Any] = made) -> None:
                if stream not in kept:
                    kept[stream] = product.launch(rows, address(x), address(out), stream)
                kept[stream].start()

            out.zero_()
            us = microseconds(start)
            line["differ"][way] = int((out != wanted).sum())
            if not line["differ"][way]:
                line["us"][way] = us
    finally:
        gpu_products.WORTH = worth
    if rows > 16 and terms % 8 == 0:  # what torch takes
        line["us"]["torch"] = microseconds(lambda _: torch._int_mm(x, columns, out=out))
    return line


def size_of(text: str) -> tuple[int, int, int]:
    """rows,terms,units."""
    words = text.split(",")
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and 0 < int(word) < 10**6 for word in words):
        raise ParameterError("--sizes", repr(text), "rows,terms,units, each from 1 to 999999")
    rows, terms, hidden = map(int, words)
    if hidden % 16:
        raise ParameterError("--sizes", repr(text), "units in multiples of 16")
    return rows, terms, hidden


def main() -> int:
    """0 when every sum is equal, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the JSON goes")
    parser.add_argument("--sizes", nargs="+", metavar="ROWS,TERMS,UNITS", default=SIZES)
    arguments = parser.parse_args()
    sizes = [size_of(text) for text in arguments.sizes]
    launch.target("gpu")
    lines = []
    for size in sizes:
        lines.append(measured(*size))
        print(json.dumps(lines[-1]), file=sys.stderr, flush=True)
    with atomic_file(arguments.out) as file:
        file.write(json.dumps({"machine": machine("gpu"), "sizes": lines}, indent=1) + "\n")
    return int(any(n for line in lines for n in line["differ"].values()))


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except ModuleNotFoundError as error:
        print(f"products_gpu: {error.name} is not installed, expected it here", file=sys.stderr)
    except (QgruError, OSError) as error:
        print(f"products_gpu: {os_sentence(error) if isinstance(error, OSError) else error}", file=sys.stderr)
    raise SystemExit(2)
