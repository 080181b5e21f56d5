"""How a run is cut up for the cluster kernel: measured rules for the sizes of a Hopper device.  [docs/performance.md]"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cuda_impl.fast.gpu_layout import SHARED_BYTES, Kind, Shape, shared_layout
from cuda_impl.fast.gpu_warpgroup import GROUPS, held_fragments
from golden.spec.errors import ParameterError

CLUSTER_BLOCKS = 112  # blocks, one to a multiprocessor, that clusters of any size find room for at the same time
LARGEST = 1024  # hidden units that sixteen blocks of 64 hold
HELD = {1: 48, 2: 46, 3: 40, 4: 32, 5: 24, 6: 16}  # fragments that fit the registers beside so many groups' sums
MULTIPROCESSORS = 132
BESIDE = 1.05  # of its rate, what a product beside the recurrence is worth: fewer blocks share the second-level cache
PRODUCT_RATE = 4.0e8  # multiplications of an input product in a microsecond


def power_of_two(count: int) -> int:
    """The least power of two not below count."""
    return 1 << max(0, count - 1).bit_length()


@lru_cache(maxsize=1024)
def shape_for(
    hidden: int,
    batch: int,
    kind: Kind,
    work: int = 0,
    units: int | None = None,
    clusters: int | None = None,
    grouped: bool | None = None,
) -> Shape:
    """The shape for a hidden size and a batch, the quickest by the estimate of step_microseconds.

    work             multiplications of the input product of one step, that is to hide behind the recurrence
    units, clusters  units per block and how many clusters, when they are not to be chosen
    grouped          whether four warps are to multiply together, when that is not to be chosen
    Raises           ParameterError above LARGEST hidden units, and where the clusters asked for cannot hold the rows
    """
    if hidden > LARGEST:
        raise ParameterError("H", hidden, f"at most {LARGEST} for a cluster")
    units = units or default_units(hidden, -(-batch // 8))
    blocks = -(-hidden // units)
    room = max(1, CLUSTER_BLOCKS // blocks)

    def quickest(counts: Iterable[int]) -> Shape | None:
        found: list[tuple[float, Shape]] = []
        for count in counts:
            for shape in _shapes(hidden, -(-batch // count), units, kind, grouped):
                used = -(-batch // shape.valid)
                share = share_before(shape, used, 1000, 1000 * work, BESIDE)
                found.append((share * work / PRODUCT_RATE + step_microseconds(shape), shape))
        return min(found, key=lambda item: item[0])[1] if found else None

    most = min(batch, room)
    shape = quickest([clusters] if clusters is not None else range(max(1, most // 2), most + 1))
    if shape is None and clusters is None:  # clusters that follow each other: none waits for another
        found = (quickest([count]) for count in range(2 * room, batch + room, room))
        shape = next((each for each in found if each is not None), None)
    if shape is None:
        raise ParameterError("N", batch, f"fewer rows for {hidden} hidden units")
    return shape


def _shapes(hidden: int, valid: int, units: int, kind: Kind, grouped: bool | None) -> list[Shape]:
    """The shapes with so many rows of the batch in a cluster: one of each way to multiply for which there is room."""
    blocks, tiles, pieces = -(-hidden // units), units // 16, -(-hidden // 64)
    splits = max(1, 8 // tiles)
    while splits > 1 and splits > pieces:
        splits //= 2
    chunks = -(-pieces // splits)
    found = []
    worth = grouped or (grouped is None and chunks >= 4 and valid > 8)  # measured; below, single warps are as quick
    if worth and (tiles, splits) == (4, 2) and blocks > 1 and not kind.moving:
        found.append(_grouped(blocks, chunks, valid, kind))
    if grouped is not True:
        found.append(_single(blocks, tiles, splits, chunks, valid, kind))
    return [shape for shape in found if shape is not None]


def _single(blocks: int, tiles: int, splits: int, chunks: int, valid: int, kind: Kind) -> Shape | None:
    """The shape in which every warp multiplies by itself."""
    most, wanted = 3 if chunks > 4 else 4 if blocks == 1 else 6, -(-valid // 8)
    for passes in range(-(-wanted // most), wanted + 1):
        groups = -(-wanted // passes)
        if passes > 1 and chunks > 4 and groups > 1:
            continue  # measured: with all registers full, passes of 8 rows are the quicker ones
        extra = extra_warps(16 * tiles, groups, tiles * splits, 16 if blocks == 1 else 8)
        fewer = 4 if kind.moving else 0  # a step's own numbers need registers too
        for held in (HELD[groups] - fewer, HELD[groups] + 2):  # a few more in registers where shared memory is short
            shape = Shape(blocks, tiles, splits, chunks, groups, passes, min(6 * chunks, held), extra, valid)
            if shape_fits(shape, kind):
                return shape
    return None


def _grouped(blocks: int, chunks: int, valid: int, kind: Kind) -> Shape | None:
    """The shape in which two groups of four warps multiply."""
    groups = next((n for n in GROUPS if 8 * n >= valid), None)
    if groups is None:
        return None
    held = held_fragments(groups)
    for more in (0, 2, 4):  # in registers where shared memory is short
        shape = Shape(blocks, 4, 2, chunks, groups, 1, min(6 * chunks, held + more), 0, valid, True)
        if shape_fits(shape, kind):
            return shape
    return None


def shape_fits(shape: Shape, kind: Kind) -> bool:
    """Whether a block finds room in shared memory."""
    return shared_layout(shape, kind)["total"] <= SHARED_BYTES and (
        shape.units * shape.pass_rows % (shape.threads * shape.each) == 0
    )


def default_units(hidden: int, row_tiles: int) -> int:
    """Units of a block: the smallest part whose clusters all find room at the same time; one block where none does."""
    if hidden <= 64:
        return max(16, power_of_two(hidden))
    for smaller in (16, 32):
        if -(-hidden // smaller) <= 16 and row_tiles * -(-hidden // smaller) <= CLUSTER_BLOCKS:
            return smaller
    return max(16, power_of_two(hidden)) if hidden <= 128 else 64


def extra_warps(units: int, groups: int, warps: int, most: int) -> int:
    """Warps beside those that multiply, up to `most` in all, so that a thread finishes one unit or two."""
    total = warps
    while total < min(most, units * 8 * groups // 32):
        total *= 2
    return total - warps


def step_microseconds(shape: Shape) -> float:
    """About how long a step takes, from what was measured at 1 to 80 rows and 64 to 1024 units."""
    part = shape.units / 64
    if shape.grouped:
        return 0.7 + 0.38 * (1 + shape.groups) * shape.chunks * shape.splits / 16 + 0.33 * shape.groups
    multiply = shape.groups * shape.passes * part * 0.0375 * shape.chunks * shape.splits
    return 0.8 * shape.passes + multiply + 0.35 * part * shape.valid / 8


def share_before(shape: Shape, clusters: int, steps: int, work: int, rate: float = 1.0) -> float:
    """Which share of an input product of `work` multiplications to finish before the recurrence starts, so that the rest
    hides behind it on the multiprocessors that it leaves, at that rate; 0 for none, 1 for all of it."""
    blocks = shape.blocks * clusters
    product = work / PRODUCT_RATE
    if product < 60 or blocks > CLUSTER_BLOCKS:  # not worth the launches, or no room beside
        return 1.0
    hidden = rate * steps * step_microseconds(shape) * (MULTIPROCESSORS - blocks) / MULTIPROCESSORS
    return min(1.0, max(0.0, 1 - hidden / product))


def piece_steps(steps: int, batch: int) -> int:
    """Steps of a piece of the input product, a power of two: at least 1024 rows, at most sixteen pieces."""
    return power_of_two(max(-(-1024 // batch), -(-steps // 16)))
