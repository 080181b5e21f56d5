"""How a run is cut up for the cluster kernel: measured rules for the sizes of a Hopper device.  [docs/performance.md]"""

from __future__ import annotations

from functools import lru_cache

from cuda_impl.fast.gpu_cluster import SHARED_BYTES, Kind, Shape, shared_layout
from golden.spec.errors import ParameterError

CLUSTER_BLOCKS = 112  # blocks, one to a multiprocessor, that clusters of any size find room for at the same time
LARGEST = 1024  # hidden units that sixteen blocks of 64 hold


def power_of_two(count: int) -> int:
    """The least power of two not below count."""
    return 1 << max(0, count - 1).bit_length()


@lru_cache(maxsize=1024)
def shape_for(hidden: int, batch: int, kind: Kind, units: int | None = None, rows: int | None = None) -> Shape:
    """The shape for a hidden size and a batch; units per block and rows per cluster may be given.

    Raises   ParameterError above LARGEST hidden units, and for rows that do not fit a block's shared memory
    """
    if hidden > LARGEST:
        raise ParameterError("H", hidden, f"at most {LARGEST} for a cluster")
    row_tiles = -(-batch // 8)
    units = units or default_units(hidden, row_tiles)
    blocks, tiles = -(-hidden // units), units // 16
    pieces = -(-hidden // 64)
    splits = max(1, 8 // tiles)
    while splits > 1 and splits > pieces:
        splits //= 2
    chunks = -(-pieces // splits)
    wanted = rows // 8 if rows is not None else -(-row_tiles // max(1, CLUSTER_BLOCKS // blocks))
    most = 3 if chunks > 4 else 4 if blocks == 1 else 6
    for passes in range(-(-wanted // most), wanted + 1):
        groups = -(-wanted // passes)
        held = min(6 * chunks, 48 - 8 * max(0, groups - 2))
        extra = extra_warps(units, groups, tiles) if blocks == 1 else 0
        shape = Shape(blocks, tiles, splits, chunks, groups, passes, held, extra)
        if shape_fits(shape, kind):
            return shape
    raise ParameterError("rows", 8 * wanted, f"fewer rows in a cluster of {blocks} blocks")


def shape_fits(shape: Shape, kind: Kind) -> bool:
    """Whether a block finds room in shared memory."""
    return shared_layout(shape, kind)["total"] <= SHARED_BYTES and (
        shape.units * shape.pass_rows % (shape.threads * shape.each) == 0
    )


def default_units(hidden: int, row_tiles: int) -> int:
    """Units of a block: one block up to 128; else the smallest part whose clusters all find room at the same time."""
    if hidden <= 128:
        return max(16, power_of_two(hidden))
    for smaller in (16, 32):
        if -(-hidden // smaller) <= 16 and row_tiles * -(-hidden // smaller) <= CLUSTER_BLOCKS:
            return smaller
    return 64


def extra_warps(units: int, groups: int, warps: int) -> int:
    """Warps beside those that multiply, up to sixteen in all, so that a thread finishes one unit or two."""
    total = warps
    while total < min(16, units * 8 * groups // 32):
        total *= 2
    return total - warps
