"""Plots of a calibration: the histogram of every operator and the range that was chosen for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import INT8
from golden.spec.layout import OPERATOR_FIELDS
from golden.spec.params import MShiftParams, PotParams
from quant_gru.errors import MissingPart
from quant_gru.files import atomic_path
from quant_gru.histogram import Histogram
from quant_gru.observers import Observers

COLUMNS = 4
SUFFIXES = (".png", ".svg", ".pdf")


def chosen_ranges(params: PotParams | MShiftParams) -> dict[str, tuple[float, float]]:
    """operator -> the reals of the least and the greatest code, of the operators that have a histogram."""
    if isinstance(params, MShiftParams):
        points = {"input.x": (params.s_x, params.zp_x, INT8), "input.h": (params.s_h, params.zp_h, INT8)}
        for gate, scale in zip("zrg", (params.s_z, params.s_r_gate, params.s_g)):
            points[f"gate.{gate}_pre"] = (scale, getattr(params, f"zp_{gate}"), params.fmt_pre)
    else:
        ops = ((name, params.operators[name]) for name in OPERATOR_FIELDS)
        points = {name: (2.0 ** -int(op.exponent), op.zero_point, op.fmt) for name, op in ops}
    return {name: ((fmt.qmin - zp) * scale, (fmt.qmax - zp) * scale) for name, (scale, zp, fmt) in points.items()}


def plot_calibration(path: str | PathLike[str], observers: Observers, params: PotParams | MShiftParams | None = None) -> None:
    """Draw the histogram of every operator, and the range that its codes cover.

    path       .png, .svg or .pdf; the file appears complete or not at all
    observers  what was seen
    params     the parameter set whose ranges are drawn; None draws the histograms alone
    Raises     MissingPart without matplotlib; ParameterError for another suffix, or when nothing was seen
    """
    plot_places(path, {"": (observers, params)})


def plot_places(
    path: str | PathLike[str], places: Mapping[str, tuple[Observers, PotParams | MShiftParams | None]]
) -> None:
    """As plot_calibration for several layers and directions: name, such as "l0_reverse", -> (observers, params)."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingPart("matplotlib", "report") from None
    for name, (observers, _) in places.items():
        if observers.empty:
            raise ParameterError(f"calibration data {name}".strip(), "empty", "at least one batch")
    suffix = Path(path).suffix
    if suffix not in SUFFIXES:
        raise ParameterError("plot", repr(str(path)), f"a file name with one of {', '.join(SUFFIXES)}")
    rows = math.ceil(len(OPERATOR_FIELDS) / COLUMNS)
    height = rows * len(places)
    figure = Figure(figsize=(4 * COLUMNS, 2.6 * height))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(height, COLUMNS, left=0.03, right=0.99, bottom=0.08 / height, top=1 - 0.25 / height)
    grid.update(hspace=0.5, wspace=0.15)
    for block, (name, (observers, params)) in enumerate(places.items()):
        ranges = {} if params is None else chosen_ranges(params)
        for i, operator in enumerate(OPERATOR_FIELDS):
            axis = figure.add_subplot(grid[block * rows + i // COLUMNS, i % COLUMNS])
            label = f"{name} {operator}, {observers.method}".strip()
            _draw(axis, label, observers.histograms[operator], ranges.get(operator))
    with atomic_path(path) as fresh:
        figure.savefig(fresh, dpi=100, metadata={"Date": None} if suffix == ".svg" else None)


def plot_stack(
    path: str | PathLike[str],
    observers: Sequence[Sequence[Observers]] | None,
    params: Sequence[Sequence[PotParams | MShiftParams]],
) -> None:
    """As plot_calibration for a whole network: observers and params of every layer, direction by direction.

    Raises   ParameterError when there are no statistics, as after quantization parameters were loaded from a file
    """
    if observers is None:
        raise ParameterError("calibration data", "empty", "at least one batch")
    suffixes = ("", "_reverse")
    plot_places(
        path,
        {
            f"l{layer}{suffix}": (seen, used)
            for layer, pair in enumerate(zip(observers, params))
            for suffix, seen, used in zip(suffixes, *pair)
        },
    )


def _draw(axis: Any, label: str, seen: Histogram, chosen: tuple[float, float] | None) -> None:
    used = np.flatnonzero(seen.counts)
    first, last = int(used[0]), int(used[-1]) + 1
    axis.stairs(seen.counts[first:last], seen.edges[first : last + 1], fill=True, color="tab:blue")
    axis.set_yscale("log", nonpositive="clip")
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    title = f"{label}\nseen [{seen.low:.4g}, {seen.high:.4g}]"
    if chosen is not None:
        axis.axvspan(*chosen, color="tab:orange", alpha=0.2)
        low, high = min(low, chosen[0]), max(high, chosen[1])
        title += f", codes [{chosen[0]:.4g}, {chosen[1]:.4g}]"
    margin = 0.03 * (high - low) or 1.0
    axis.set_xlim(low - margin, high + margin)
    axis.set_title(title, fontsize=8)
    axis.tick_params(labelsize=7)
