"""How a launch of the cluster kernel is cut up, what its units compute, and where things lie in shared memory."""

from __future__ import annotations

from dataclasses import dataclass

TERMS, COLUMNS = 64, 128  # terms of a dot product that are multiplied at once; columns of the input product of a block
SHARED_BYTES = 232_448  # what one block may use on a multiprocessor of compute capability 9.0

MSHIFT_STEPS = ("m_Rh_z", "m_Rh_r", "m_z", "m_r", "m_g", "m_rRh", "m_gh", "m_one")
"""The multipliers that a kernel reads: (multiplier, half a unit of what is shifted out, shift) each, in this order; then
zp_z, zp_r, zp_g, zp_h, and qmin and qmax of the gate inputs."""
MSHIFT_WIDE = ("z", "r", "g", "b")  # per unit: what is added to Wx_z, Wx_r, Wx_g and to Rh_g; int64, int32 when plain
MSHIFT_NARROW = ("Rh_z", "Rh_r")  # int32 per unit: what is added to the raw products

POT_UNIT = (
    "Wx_z", "Wx_r", "Wx_g", "Rh_z", "Rh_r", "Rh_g",  # added to the raw products
    "s_Wx_z", "s_Wx_r", "s_Wx_g", "s_Rh_z", "s_Rh_r", "s_Rh_g",  # right shifts
    "z", "r", "A", "g",  # added to the aligned terms
)  # fmt: skip
POT_MOVES = ("Wx_z", "Wx_r", "Wx_g", "Rh_z", "Rh_r", "A", "P", "P_g", "O", "N", "O_h", "N_h")
"""The shifts of datapath P as numbers: (left, half, right, whether anything is shifted out) each; then POT_BOUNDS."""
STILL_Wx, STILL_A, STILL_SUM, SHIFTED = 1, 2, 4, 8
"""What a kernel may know of POT_MOVES: those of Wx, of A, of O_h and N_h move nothing; all others shift out one bit or more."""
POT_BOUNDS = (
    "Wx_low", "Wx_high", "Rh_low", "Rh_high", "z_low", "z_high", "r_low", "r_high", "g_low", "g_high",
    "A_low", "A_high", "P_low", "P_high", "O_low", "O_high", "N_low", "N_high", "h_low", "h_high",
    "z_zero", "r_zero", "g_zero", "one", "h_zero",
)  # fmt: skip
"""Bounds less the operator's zero point (of the gate inputs the bounds themselves), then zero points."""

REAL_TABLE = 264
"""Entries of a gate's table where a unit is found in binary32: one for each code, one more, and room up to a multiple of 8."""

MOVING_UNIT = 12
"""int32 per unit of a set with moving ranges, gates z, r, g each: column sums of W and of R, then codes of bx, br."""


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
    grouped  whether four warps multiply together, so that the state lies in core matrices; tiles are 4 then
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
    grouped: bool = False

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
        """Bytes of a row of the state: 64 more than a multiple of 128, so that no two rows meet in a bank; no more than
        its terms in core matrices."""
        return self.length + (64 if self.length % 128 == 0 and not self.grouped else 0)

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
        return 3 if self.passes == 1 and not self.grouped else 2

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
    still     datapath P: which of the other shifts are known, the sum of STILL_Wx ... SHIFTED
    real      datapath P: whether a unit is found in binary32 that is exact
    moving    whether ranges move, so that the constants of the units are found anew at every step
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
    moving: bool = False
    still: int = 0
    real: bool = False

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

    @property
    def table_words(self) -> int:
        """int32 of the three tables in shared memory."""
        return 3 * (REAL_TABLE if self.real else 256)


def shared_layout(shape: Shape, kind: Kind) -> dict[str, int]:
    """Where everything lies in shared memory, in bytes, and `total`."""
    out, at = {}, 128 if shape.grouped else 64
    line = 128 if shape.grouped else 16  # what copies of tiles want
    for name, size in (
        ("tables", 4 * kind.table_words),
        ("wide", kind.wide_units * shape.units * 8),
        ("narrow", kind.narrow_units * shape.units * 4),
        ("state", 2 * shape.rows * shape.stride),
        ("red", shape.red_bytes),
        ("wx", shape.wx_copies * shape.wx_bytes),
        ("spill", shape.spill_bytes),
        ("sums", MOVING_UNIT * shape.units * 4 if kind.moving else 0),
        ("codes", 2048 if kind.moving else 0),
        ("meet", 192 if kind.moving else 0),
        ("numbers", 96 if kind.moving else 0),
    ):
        out[name] = at
        at += -(-size // line) * line
    out["total"] = at
    return out
