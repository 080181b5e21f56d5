"""Cases for the hardware examples: step cases on every edge of their operands, and runs of small cells, as .hex files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.serial import to_plain
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear
from golden.spec.trace import Trace
from vectors.benches import TABLE_ARRAYS, StepBench
from vectors.benches_cells import CellBench, word_format
from vectors.steps import STEPS, run_step


def write_words(path: Path, values: Any, bits: int) -> None:
    """One word a line, two's complement of exactly this width, a comment in front."""
    digits, mask = (bits + 3) // 4, (1 << bits) - 1
    words = "".join(f"{int(v) & mask:0{digits}x}\n" for v in np.asarray(values).reshape(-1))
    path.write_text(f"// {path.stem}: {bits} bits\n{words}", encoding="ascii")


def write_step(
    folder: Path, case: str, step: str, constants: Mapping[str, int], inputs: Mapping[str, Any], table: Activation | None = None
) -> StepBench:
    """Write the files of a step case; golden gives the outputs."""
    definition = STEPS[step]
    folder.mkdir(parents=True, exist_ok=True)
    columns = {**inputs, **run_step(step, constants, inputs, table)}
    for column in (*definition.inputs, *definition.outputs):
        write_words(folder / f"{column.name}.hex", columns[column.name], column.width(constants))
    rows = len(np.asarray(columns[definition.outputs[0].name]))
    lanes = next((np.shape(columns[c.name])[1] for c in definition.inputs if c.vector), 1)
    kind, segments = None, 0
    if table is not None:
        kind = table.kind
        for name in TABLE_ARRAYS[kind]:
            array = getattr(table, name)
            write_words(folder / f"{name}.hex", array, table.fmt_out.bits if name == "entries" else 32)
            segments = len(array)
    return StepBench(case, step, dict(constants), rows, lanes, kind, segments, ("edges",))


def write_cell(folder: Path, case: str, params: Any, trace: Trace) -> CellBench:
    """Write the files of a run of a cell."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in to_plain(params)[1].items():
        bits = 32
        if name in ("W", "R", "bx", "br"):
            bits = {"W": 8, "R": 8}.get(name, 32) if params.datapath == "mshift" else params.operators[f"weight.{name}"].fmt.bits
        elif name.endswith("entries"):
            bits = 8
        write_words(folder / f"params.{name}.hex", array, bits)
    for name, array in trace.items():
        write_words(folder / f"trace.{name}.hex", array, word_format(params, name)[0])
    return CellBench(case, params, trace["x"].shape[0], trace["x"].shape[1], ("drawn",))


def requantize_cases(folder: Path) -> list[StepBench]:
    """Ties of both signs at every shift, both saturations, the extremes of v, zero points inside and outside."""
    benches = []
    rng = np.random.default_rng(5)
    extremes = [-(2**31), 2**31 - 1, 0, 1, -1, 2**30, -(2**30)]
    for index, (m, s, zp, fmt) in enumerate(
        (
            (1, 4, 0, IntFormat(8, True)),
            (3, 1, -7, IntFormat(16, True)),
            (2**31 - 1, 31, 5, IntFormat(8, True)),
            (2**31 - 1, 0, -(2**31), IntFormat(16, True)),
            (1234567891, 30, 128, IntFormat(8, False)),
            (1 << 20, 24, 2**31 - 1, IntFormat(12, False)),
            (77, 0, 3, IntFormat(5, True)),
            (1 << 30, 31, 0, IntFormat(16, True)),
            (0, 17, 100, IntFormat(2, False)),
        )
    ):
        near = np.arange(-70, 71)
        ties = (2 * near + 1) * (1 << max(s - 1, 0)) // max(m & -m, 1)
        v = np.concatenate([extremes, near, np.clip(ties, -(2**31), 2**31 - 1), rng.integers(-(2**31), 2**31, 40)])
        constants = {"M": m, "s": s, "zp": zp, "bits": fmt.bits, "signed": int(fmt.signed)}
        benches.append(write_step(folder / f"requantize-{index}", f"requantize-{index}", "requantize", constants, {"v": v}))
    return benches


def direct_cases(folder: Path) -> list[StepBench]:
    """Every entry of a direct table, signed and unsigned, and every boundary of the 16-bit address."""
    rng = np.random.default_rng(6)
    signed = DirectTable("tanh", rng.permutation(np.arange(-128, 128)), INT8, INT8)
    wide = DirectTable("tanh", rng.permutation(np.arange(-128, 128)), INT16, INT8)
    unsigned = DirectTable("sigmoid", rng.permutation(256) * 257, INT8, IntFormat(16, False))
    q = np.arange(-128, 128)
    edges = np.unique([b + d for b in range(-32768, 32768, 257) for d in range(-131, -125)] + [*range(-32768, -32500), 32767])
    edges = np.unique(np.concatenate([edges[(edges >= -32768) & (edges < 32768)], np.arange(-32768, 32768, 31)]))
    int8, uint16 = {"bits_out": 8, "signed_out": 1}, {"bits_out": 16, "signed_out": 0}
    return [
        write_step(folder / "direct-0", "direct-0", "direct", int8, {"q": q}, signed),
        write_step(folder / "direct-1", "direct-1", "direct", uint16, {"q": q}, unsigned),
        write_step(folder / "direct_wide-0", "direct_wide-0", "direct_wide", int8, {"q": edges}, wide),
    ]


def piecewise_cases(folder: Path) -> list[StepBench]:
    """Both sides of every threshold, shifts of both signs and 0, ties, saturation of input and output, few segments."""
    benches = []
    for index, (count, fmt_in, fmt_out, zp) in enumerate(
        (
            (16, INT8, IntFormat(8, False), 3),
            (16, INT16, INT16, -1000),
            (1, INT8, INT8, 0),
            (5, IntFormat(9, False), IntFormat(12, True), 2**31 - 1),
        )
    ):
        rng = np.random.default_rng(index)
        thresholds = np.sort(rng.integers(fmt_in.qmin - 1, fmt_in.qmax + 2, count))
        centre = (fmt_out.qmin + fmt_out.qmax) // 2
        shifts = rng.integers(-2, 9, count) if zp < 2**20 else np.full(count, 26)
        if index == 1:
            shifts[:3] = (62, 40, -31)
        table = PiecewiseLinear(
            "sigmoid",
            thresholds,
            rng.choice([1, -1, 2, 3, -5, 96], count) if zp < 2**20 else rng.integers(-9, 9, count),
            shifts,
            rng.integers(fmt_out.qmin, fmt_out.qmax + 1, count) // 2 + centre // 2,
            fmt_in,
            fmt_out,
            zp,
        )
        q = np.concatenate([thresholds + d for d in (-1, 0, 1)] + [np.linspace(fmt_in.qmin, fmt_in.qmax, 300).astype(np.int64)])
        q = np.concatenate([q, [-(2**31), 2**31 - 1, fmt_in.qmin - 1, fmt_in.qmax + 1]])
        constants = {"zp_in": zp, "bits_in": fmt_in.bits, "signed_in": int(fmt_in.signed)}
        constants |= {"bits_out": fmt_out.bits, "signed_out": int(fmt_out.signed)}
        name = f"piecewise_linear-{index}"
        benches.append(write_step(folder / name, name, "piecewise_linear", constants, {"q": q}, table))
    return benches


def run_of(params: Any, x: np.ndarray, h0: np.ndarray | None) -> Trace:
    """The forward run of a case, without zoneout and mask."""
    return forward(params, x, h0)
