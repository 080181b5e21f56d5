"""Golden against the twin on a GPU: drawn problems of every datapath, and the trained network, every stage bit for bit.

    python benchmarks/verify_gpu.py --examples 2000
    python benchmarks/verify_gpu.py --checkpoint checkpoint20.npz --words homographs.en --device gpu

Problems come in blocks of 100; block k is drawn from the seed k, so that the same blocks are the same problems anywhere with
the same version of Hypothesis. A problem that differs is written beside the results as JSON, which
verification.problem.Problem.from_json takes back.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import copyfile
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cuda_impl.launch import target  # noqa: E402
from golden.spec.errors import QgruError  # noqa: E402
from qgru.files import atomic_file  # noqa: E402
from qgru.job_g2p import g2p_job  # noqa: E402
from qgru.jobs import settings as job_settings  # noqa: E402
from qgru.run import canonical_json  # noqa: E402
from qgru.show import rounded  # noqa: E402
from quant_gru.errors import MissingPart  # noqa: E402
from quant_gru.g2p import load_g2p  # noqa: E402
from verification.problem import Problem  # noqa: E402
from verification.report import report  # noqa: E402
from verification.run import Result, verify  # noqa: E402
from verification.strategies import DATAPATHS, problems  # noqa: E402

BLOCK = 100
SIZES = {"max_steps": 6, "max_batch": 5, "max_inputs": 9, "max_hidden": 9}
LARGE = {"max_steps": 4, "max_batch": 40, "max_inputs": 80, "max_hidden": 300}
PACKAGES = ("numpy", "numba", "numba-cuda", "hypothesis")


def drawn(datapath: str, block: int, count: int, sizes: dict[str, int]) -> list[Problem]:
    """The problems of a block; the first is the simplest there is."""
    found: list[Problem] = []

    @seed(block)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(problems(datapath, **sizes))  # type: ignore[arg-type]
    def collect(problem: Problem) -> None:
        found.append(problem)

    collect()
    return found


def run_block(datapath: str, block: int, count: int, sizes: dict[str, int], device: str) -> Iterator[tuple[Problem, Result]]:
    """Each problem of a block with its result."""
    for i, problem in enumerate(drawn(datapath, block, count, sizes)):
        name = f"{datapath}-{block}-{i}"
        yield (
            problem,
            verify(
                problem.params,
                problem.x,
                problem.h0,
                mask=problem.mask,
                zoneout=problem.zoneout,
                training=problem.training,
                reverse=problem.reverse,
                device=device,
                name=name,
            ),
        )


def run_drawn(
    datapath: str, label: str, examples: int, first: int, sizes: dict[str, int], device: str, out: Path
) -> dict[str, Any]:
    """A line of the results: problems, codes, mismatches."""
    line: dict[str, Any] = {"datapath": datapath, "sizes": label, "problems": 0, "compared": 0, "mismatches": 0, "differ": []}
    start = time.perf_counter()
    for block in range(-(-examples // BLOCK)):
        count = min(BLOCK, examples - block * BLOCK)
        for problem, result in run_block(datapath, first + block, count, sizes, device):
            line["problems"] += 1
            line["compared"] += result.compared
            line["mismatches"] += result.mismatches
            if not result.equal:
                line["differ"].append(result.name)
                path = out / f"{label}-{result.name}.json"
                with atomic_file(path) as file:
                    file.write(problem.to_json())
                replay = f"Problem.from_json(Path({str(path)!r}).read_text())"
                print(report(result.comparison, result.params, result.trace, names=("twin", "golden"), replay=replay))
    line["seconds"] = round(time.perf_counter() - start, 1)
    print(
        f"{datapath} {label}: {line['problems']} problems, {line['compared']} codes, {line['mismatches']} mismatches",
        flush=True,
    )
    return line


def run_network(folder: Path | None, device: str) -> list[dict[str, Any]]:
    """The lines of the default job of `qgru verify`; none when the network is not here."""
    try:
        model = load_g2p(folder)
    except MissingPart as error:
        print(error)
        return []
    outcome = None
    for outcome in g2p_job(model, job_settings("all", None), 0, device):  # noqa: B007
        pass
    assert outcome is not None
    if outcome.failed:
        result = outcome.failed[0]
        print(report(result.comparison, result.params, result.trace, names=("twin", "golden"), replay=result.name))
    lines = [
        vars(line) | {"sqnr_db": rounded(line.sqnr_db, 3), "phonemes": rounded(line.phonemes, 6)} for line in outcome.lines
    ]
    for line in lines:
        print(line, flush=True)
    return lines


def machine(kind: str) -> dict[str, Any]:
    """What ran: the device, its driver, the versions."""
    found: dict[str, Any] = {"kind": kind, "python": platform.python_version(), "device": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    if kind == "gpu":
        from numba import cuda

        gpu = cuda.get_current_device()
        name = gpu.name
        found["device"] = name.decode() if isinstance(name, bytes) else str(name)
        found["compute_capability"] = list(gpu.compute_capability)
        found["cuda_runtime"] = list(cuda.runtime.get_version())
        driver = Path("/proc/driver/nvidia/version")
        found["driver"] = driver.read_text().splitlines()[0] if driver.is_file() else None
    return found


def main() -> int:
    """0 when every code is equal, 1 when one differs, 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2000, help="drawn problems of each datapath")
    parser.add_argument("--large", type=int, default=100, help="drawn problems of larger sizes, of each datapath")
    parser.add_argument("--first", type=int, default=0, help="seed of the first block")
    parser.add_argument("--device", default="gpu", choices=["auto", "gpu", "host", "simulator"])
    parser.add_argument("--checkpoint", type=Path, help="checkpoint20.npz of g2p-en; its package is used when left out")
    parser.add_argument("--words", type=Path, help="homographs.en of g2p-en")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    arguments = parser.parse_args()
    if (arguments.checkpoint is None) != (arguments.words is None):
        parser.error("--checkpoint and --words belong together")
    kind = target(arguments.device).kind
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for datapath in DATAPATHS:
        for label, count, sizes in (("small", arguments.examples, SIZES), ("large", arguments.large, LARGE)):
            lines.append(run_drawn(datapath, label, count, arguments.first, sizes, kind, arguments.out))
    with tempfile.TemporaryDirectory() as temporary:
        folder = None
        if arguments.checkpoint is not None:
            folder = Path(temporary)
            copyfile(arguments.checkpoint, folder / "checkpoint20.npz")
            copyfile(arguments.words, folder / "homographs.en")
        network = run_network(folder, kind)
    equal = not any(line["mismatches"] or line["differ"] for line in lines) and all(line["equal"] for line in network)
    plain = {
        "equal": equal,
        "compared": sum(line["compared"] for line in (*lines, *network)),
        "mismatches": sum(line["mismatches"] for line in (*lines, *network)),
        "machine": machine(kind),
        "drawn": lines,
        "network": network,
    }
    path = arguments.out / f"verify-{kind}.json"
    with atomic_file(path) as file:
        file.write(canonical_json(plain) + "\n")
    print(f"{plain['compared']} codes compared, {plain['mismatches']} mismatches: {path}")
    return 0 if equal else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (QgruError, OSError) as error:
        print(f"verify_gpu: {error}", file=sys.stderr)
        sys.exit(2)
