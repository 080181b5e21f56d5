"""A folder with the files of cases and with every bench that can be made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from golden.spec.errors import ParameterError
from vectors.benches import StepBench, step_bench, step_bench_of, suite_bench
from vectors.benches_c import c_harness, c_header
from vectors.benches_cells import CellBench, cell_bench, cell_bench_of
from vectors.benches_cocotb import cocotb_bench
from vectors.case import Case
from vectors.formats import cheader, hexfile
from vectors.formats.symbols import claim_name
from vectors.kinds import pack_case
from vectors.step_case import StepCase


def write_benches(cases: Iterable[StepCase | Case], folder: Path, prefix: str | None = None) -> list[StepBench | CellBench]:
    """Write the files of each case in the formats hex and C header, and its benches.

    Each case has tb_<case>.sv, a step case test_<case>.py for cocotb too; tb_all.sv holds all of the former, and harness.c
    with dut.h all step cases.

    cases   step cases, and sequence cases whose steps are single cells; other cases are left out
    folder  made when it is missing; files of the same names are replaced
    prefix  the folder as a simulator finds it (default: its absolute path)
    Returns the benches, in the order of the cases
    Raises ParameterError for two ids that have one name in C and SystemVerilog
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    root = f"{folder.absolute() if prefix is None else prefix}/"
    benches: list[StepBench | CellBench] = []
    known: dict[str, str] = {}
    for case in cases:
        bench = bench_of(case)
        if bench is None:
            continue
        benches.append(bench)
        claim_name(bench.case, known)
        entry, arrays = pack_case(case)
        for form in (hexfile, cheader):
            _write(folder, form.render({}, [(entry, arrays)]))
        where = f"{root}{bench.case}/"
        files = {f"{bench.module}.sv": step_bench(bench, where) if isinstance(bench, StepBench) else cell_bench(bench, where)}
        if isinstance(bench, StepBench):
            files[f"test_{bench.module.removeprefix('tb_')}.py"] = cocotb_bench(bench, where)
        _write(folder, {name: text.encode("ascii") for name, text in files.items()})
    steps = [b for b in benches if isinstance(b, StepBench)]
    texts = {
        "tb_all.sv": suite_bench([b.module for b in benches]),
        "dut.h": c_header(sorted({b.step for b in steps})),
        "harness.c": c_harness(steps, [f"{b.case}.h" for b in steps]),
    }
    _write(folder, {name: text.encode("ascii") for name, text in texts.items()})
    return benches


def bench_name(case: Any) -> str | None:
    """What the bench of a case drives: a step, "mshift_cell" or "pot_cell"; None for a case that no bench is made of."""
    bench = bench_of(case)
    if bench is None:
        return None
    return bench.step if isinstance(bench, StepBench) else f"{bench.datapath}_cell"


def bench_of(case: Any) -> StepBench | CellBench | None:
    """What the bench of a case needs to know; None for a case that no bench is made of."""
    if isinstance(case, StepCase):
        return step_bench_of(pack_case(case)[0])
    if not isinstance(case, Case):
        return None
    try:
        return cell_bench_of(case)
    except ParameterError:
        return None


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
