"""How a launch of the cluster kernel is cut up, what its units compute, and where things lie in shared memory."""

from __future__ import annotations

from dataclasses import dataclass

from cuda_impl.fast.gpu_cells import MSHIFT_NARROW, MSHIFT_WIDE, POT_UNIT

SHARED_BYTES = 232_448  # what one block may use on a multiprocessor of compute capability 9.0


@dataclass(frozen=True)
class Shape:
    """How one launch is cut up; everything here is a constant of the compiled kernel.

    blocks   blocks of a cluster
    tiles    tiles of 16 units that a block owns
    splits   warps that share a dot product
    chunks   pieces of 64 terms of it that one warp has
    groups   tiles of 8 rows that are worked on at once, 1 to 4
    passes   how often, to cover the cluster's rows
    held     fragments of weights a warp keeps in registers, at most 6 * chunks
    extra    warps that only finish units
    valid    rows of the batch in a cluster, at most `rows`; the rest of the tiles of 8 stays empty
    """

    blocks: int
    tiles: int
    splits: int
    chunks: int
    groups: int
    passes: int
    held: int
    extra: int = 0
    valid: int = 8

    @property
    def units(self) -> int:
        return 16 * self.tiles

    @property
    def warps(self) -> int:
        return self.tiles * self.splits

    @property
    def threads(self) -> int:
        return 32 * (self.warps + self.extra)

    @property
    def pass_rows(self) -> int:
        return 8 * self.groups

    @property
    def rows(self) -> int:
        """Rows that a cluster has room for."""
        return self.pass_rows * self.passes

    @property
    def width(self) -> int:
        """Units of a cluster, the padded hidden size."""
        return self.units * self.blocks

    @property
    def length(self) -> int:
        """Terms of the padded dot product."""
        return 64 * self.chunks * self.splits

    @property
    def stride(self) -> int:
        """Bytes between rows of the state: 64 more than a multiple of 128, so that no two rows meet in a bank."""
        return self.length + (64 if self.length % 128 == 0 else 0)

    @property
    def each(self) -> int:
        """Units of one row that a thread finishes, 1 or 2."""
        return 2 if self.units * self.pass_rows >= 2 * self.threads else 1

    @property
    def red_row(self) -> int:
        return 4 * (self.units + 4)

    @property
    def red_bytes(self) -> int:
        return self.splits * 3 * self.pass_rows * self.red_row

    @property
    def wx_copies(self) -> int:
        """Buffers of input products: what a fetch overwrites was read two passes ago, one where a pass ends together."""
        return 3 if self.passes == 1 else 2

    @property
    def wx_bytes(self) -> int:
        return self.pass_rows * 3 * self.units * 4

    @property
    def spill_bytes(self) -> int:
        return self.warps * (6 * self.chunks - self.held) * 512


@dataclass(frozen=True)
class Kind:
    """What a unit computes; constants of the compiled kernel too.

    datapath  "mshift" or "pot"
    far       for each gate whether its input has more than 8 bits, so that its table is in global memory
    wide      whether datapath P needs 64 bits, even its rounding
    unsigned  whether codes of the state are stored less 128
    zoneout   0 none, 1 a blend, 2 a mask
    packed    whether H is a multiple of 16, so that outputs go out 16 bytes at a time
    plain     datapath M: no intermediate leaves int32; datapath P: products are shifted right by 1...30
    left      datapath P: whether any other shift goes to the left
    """

    datapath: str
    far: tuple[bool, bool, bool]
    wide: bool = False
    even: bool = False
    unsigned: bool = False
    zoneout: int = 0
    packed: bool = True
    plain: bool = False
    left: bool = True

    @property
    def wide_units(self) -> int:
        """How many int64 constants each unit has."""
        if self.datapath == "mshift":
            return 0 if self.plain else len(MSHIFT_WIDE)
        return len(POT_UNIT) if self.wide else 0

    @property
    def narrow_units(self) -> int:
        """How many int32 constants each unit has."""
        if self.datapath == "mshift":
            return len(MSHIFT_NARROW) + (len(MSHIFT_WIDE) if self.plain else 0)
        return 0 if self.wide else len(POT_UNIT)


def shared_layout(shape: Shape, kind: Kind) -> dict[str, int]:
    """Where everything lies in shared memory, in bytes, and `total`."""
    out, at = {}, 64
    for name, size in (
        ("tables", 3072),
        ("wide", kind.wide_units * shape.units * 8),
        ("narrow", kind.narrow_units * shape.units * 4),
        ("state", 2 * shape.rows * shape.stride),
        ("red", shape.red_bytes),
        ("wx", shape.wx_copies * shape.wx_bytes),
        ("spill", shape.spill_bytes),
    ):
        out[name] = at
        at += (size + 15) // 16 * 16
    out["total"] = at
    return out
