"""The plot of a grid: time over T, over N and over H, on logarithmic axes, with lines of slope 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgru.files import atomic_file
from qgru.run import need, refusal

SLOPES = {"T": 1, "N": 1, "H": 2}


def check_plot(path: Path) -> None:
    """Refuse a file whose suffix is no format of matplotlib's, and a matplotlib that is not installed."""
    need("matplotlib")
    from matplotlib.figure import Figure

    known = Figure().canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise refusal(f"--plot is {str(path)!r}, expected a name that ends in one of {', '.join(f'.{k}' for k in known)}")


def draw(axes: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Write the figure, in the format of the file's suffix.

    axes     of bench_suites.grid_suite
    Raises   a refusal naming qgru[report] when matplotlib is not installed
    """
    need("matplotlib").use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    for plot, (axis, records) in zip(figure.subplots(1, len(axes)), axes.items()):
        for name, points in series(axis, records).items():
            plot.loglog([x for x, _ in points], [y for _, y in points], marker="o", label=name)
        fixed = records[0]["size"]
        points = max(series(axis, records).values(), key=len)
        (x1, y1), slope = points[-1], SLOPES[axis]
        x0 = points[len(points) // 2][0]
        plot.loglog([x0, x1], [y1 * (x0 / x1) ** slope, y1], linestyle=":", color="gray", label=f"slope {slope}")
        others = ", ".join(f"{k} = {v}" for k, v in fixed.items() if k != axis and not (axis == "H" and k == "C"))
        sizes = [record["size"][axis] for record in records]
        plot.set_xticks(sizes, [str(size) for size in sizes])
        plot.set_xticks([], minor=True)
        plot.set(xlabel=axis if axis != "H" else "H = C", ylabel="ms", title=others)
        plot.legend()
        plot.grid(True, alpha=0.3)
    with atomic_file(path, text=False) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".").lower())


def series(axis: str, records: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Name -> (size along the axis, median ms)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for entry in record["entries"]:
            found.setdefault(entry["name"], []).append((record["size"][axis], entry["ms"]["median"]))
    return found
