"""Cases for the hardware examples: step cases on every edge of their operands; runs of small cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import WidthError
from golden.spec.formats import INT8, INT16, IntFormat
from golden.spec.params import MShiftParams, PotParams
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation, DirectTable, PiecewiseLinear
from tests.examples.c_problems import draw
from vectors.case import Case, case_from_trace
from vectors.step_case import StepCase
from vectors.steps import run_step


def step_case(
    case: str, step: str, constants: Mapping[str, int], inputs: Mapping[str, Any], table: Activation | None = None
) -> StepCase:
    """A step case; golden gives the outputs."""
    columns = {name: np.asarray(values, np.int64) for name, values in inputs.items()}
    return StepCase(case, step, constants, columns, run_step(step, constants, columns, table), table)


def requantize_cases() -> list[StepCase]:
    """Ties of both signs at every shift, both saturations, the extremes of v, zero points inside and outside."""
    cases = []
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
            (1, 0, -1, IntFormat(8, True)),
            (1 << 30, 31, 0, IntFormat(16, True)),
            (0, 17, 100, IntFormat(2, False)),
        )
    ):
        near = np.arange(-70, 71)
        ties = (2 * near + 1) * (1 << max(s - 1, 0)) // max(m & -m, 1)
        v = np.concatenate([extremes, near, np.clip(ties, -(2**31), 2**31 - 1), rng.integers(-(2**31), 2**31, 40)])
        constants = {"M": m, "s": s, "zp": zp, "bits": fmt.bits, "signed": int(fmt.signed)}
        cases.append(step_case(f"requantize-{index}", "requantize", constants, {"v": v}))
    return cases


def direct_cases() -> list[StepCase]:
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
        step_case("direct-0", "direct", int8, {"q": q}, signed),
        step_case("direct-1", "direct", uint16, {"q": q}, unsigned),
        step_case("direct_wide-0", "direct_wide", int8, {"q": edges}, wide),
    ]


def piecewise_table(
    rng: np.random.Generator, function: str, count: int, fmt_in: IntFormat, fmt_out: IntFormat, zps: tuple[int, int]
) -> PiecewiseLinear:
    """A drawn table whose values cover the output format: ties, both saturations, shifts of both signs."""
    narrow = fmt_in.bits - fmt_out.bits
    far = abs(zps[0]) >= 2**20
    slopes = rng.choice([1, -1, 2, 3, -5, 96], count)
    shifts = np.clip(rng.integers(-2, 9, count) + narrow, -31, 62)
    return PiecewiseLinear(
        function,
        np.sort(rng.integers(fmt_in.qmin - 1, fmt_in.qmax + 2, count)),
        slopes,
        np.full(count, 26) if far else shifts,
        (rng.integers(fmt_out.qmin, fmt_out.qmax + 1, count) + (fmt_out.qmin + fmt_out.qmax) // 2) // 2,
        fmt_in,
        fmt_out,
        *zps,
    )


def piecewise_cases() -> list[StepCase]:
    """Both sides of every threshold, shifts of both signs and 0, ties, saturation of input and output, few segments."""
    cases = []
    for index, (count, fmt_in, fmt_out, zp) in enumerate(
        (
            (16, INT8, IntFormat(8, False), 3),
            (16, INT16, INT16, -1000),
            (1, INT8, INT8, 0),
            (5, IntFormat(9, False), IntFormat(12, True), 2**31 - 1),
        )
    ):
        rng = np.random.default_rng(index)
        table = piecewise_table(rng, "sigmoid", count, fmt_in, fmt_out, (zp, 0))
        if index == 1:
            table = dataclasses.replace(table, shifts=np.concatenate([[62, 40, -31], table.shifts[3:]]))
        sweep = np.linspace(fmt_in.qmin, fmt_in.qmax, 300).astype(np.int64)
        q = np.concatenate([sweep, *(table.thresholds + d for d in (-1, 0, 1))])
        q = np.concatenate([q, [-(2**31), 2**31 - 1, fmt_in.qmin - 1, fmt_in.qmax + 1]])
        constants = {"zp_in": zp, "bits_in": fmt_in.bits, "signed_in": int(fmt_in.signed)}
        constants |= {"bits_out": fmt_out.bits, "signed_out": int(fmt_out.signed)}
        name = f"piecewise_linear-{index}"
        cases.append(step_case(name, "piecewise_linear", constants, {"q": q}, table))
    return cases


def cell_cases(datapath: str, count: int) -> list[Case]:
    """Runs of small cells, drawn, of which most states differ; every second one of datapath P rounds ties to even."""
    cases: list[Case] = []
    seed = 0
    while len(cases) < count:
        problem, rng = draw(datapath, seed), np.random.default_rng(seed)
        seed += 1
        fields = dict(problem.fields)
        if datapath == "pot":
            fields["rounding"] = (Rounding.TIES_AWAY, Rounding.TIES_EVEN)[len(cases) % 2]
            for k in "zrg":
                pre, out = (fields["operators"][f"gate.{k}_{end}"] for end in ("pre", "out"))
                zps, function = (pre.zero_point, out.zero_point), "tanh" if k == "g" else "sigmoid"
                fields[f"act_{k}"] = piecewise_table(rng, function, int(rng.integers(2, 17)), pre.fmt, out.fmt, zps)
        try:
            params = (MShiftParams if datapath == "mshift" else PotParams)(**fields)
        except WidthError:
            continue
        shape = (3, 3)
        x = rng.integers(params.fmt_x.qmin, params.fmt_x.qmax + 1, (*shape, params.input_size)).astype(np.int32)
        h0 = rng.integers(params.fmt_h.qmin, params.fmt_h.qmax + 1, (shape[1], params.hidden_size)).astype(np.int32)
        trace = forward(params, x, h0)
        states = [len(np.unique(trace[name])) for name in ("z", "r", "g", "h_new")]
        if min(states) < 6 or params.hidden_size < 2:
            continue
        name = f"{datapath}_cell-{seed - 1}"
        cases.append(case_from_trace(name, params, x, h0, trace, group="cell"))
    return cases
