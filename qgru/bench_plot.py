"""The plot of a grid: time over T, over N and over H, on logarithmic axes, with lines of slope 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgru.run import need

SLOPES = {"T": 1, "N": 1, "H": 2}


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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def series(axis: str, records: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Name -> (size along the axis, median ms)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for entry in record["entries"]:
            found.setdefault(entry["name"], []).append((record["size"][axis], entry["ms"]["median"]))
    return found
