"""What the GPU's fast kernels are given: fragments, constants and shapes, without a GPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cuda_impl.fast import gpu_pack
from cuda_impl.fast.gpu_layout import SHARED_BYTES, SHIFTED, STILL_A, STILL_SUM, Kind, STILL_Wx, shared_layout
from cuda_impl.fast.gpu_shape import LARGEST, piece_steps, shape_for, share_before
from golden.spec.params import MShift
from tests.verification.small import mshift_set, pot_set


def drawn(rows: int, columns: int, low: int = -128, high: int = 127) -> np.ndarray:
    return np.random.default_rng(rows * 1000 + columns).integers(low, high + 1, (rows, columns))


def place_in_fragment(lane: int, byte: int) -> tuple[int, int]:
    """(row, term) of a byte of the left operand of m16n8k32, as PTX lays it out: four registers of four bytes a lane."""
    register, offset = divmod(byte, 4)
    row = lane // 4 + 8 * (register % 2)
    return row, 16 * (register // 2) + 4 * (lane % 4) + offset


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(
    ("hidden", "blocks", "tiles", "splits", "chunks"), [(7, 1, 1, 1, 1), (100, 2, 4, 2, 1), (130, 3, 4, 1, 3)]
)
def test_fragments_multiply_as_the_matrix_does(hidden, blocks, tiles, splits, chunks, grouped):
    R = drawn(hidden, 3 * hidden)
    packed = gpu_pack.fragments(R, blocks, tiles, splits, chunks, grouped)
    assert packed.shape == (blocks, splits * tiles, 6 * chunks, 32, 16)
    width, length = 16 * tiles * blocks, 64 * splits * chunks
    found = np.zeros((3, width, length), np.int64)
    for block in range(blocks):
        for warp in range(splits * tiles):
            split, tile = divmod(warp, tiles)
            for f in range(6 * chunks):
                piece, gate, half = f // 6, f % 6 // 2, f % 2
                for lane in range(32):
                    for byte in range(16):
                        row, slot = place_in_fragment(lane, byte)
                        # the order of terms is free: a lane's sixteen bytes of the state feed two instructions
                        quarter, within = slot % 16 // 4, slot // 16 * 4 + slot % 4
                        term = 64 * (split * chunks + piece) + 16 * quarter + 8 * half + within
                        if grouped:  # the tensor cores read the state by themselves, in the order of its terms
                            term = 64 * (split * chunks + piece) + 32 * half + slot
                        found[gate, 16 * (block * tiles + tile) + row, term] = packed[block, warp, f, lane, byte]
    expected = np.zeros_like(found)
    expected[:, :hidden, :hidden] = R.T.reshape(3, hidden, hidden)
    assert np.array_equal(found, expected)


def test_input_fragments_hold_every_weight_once():
    W = drawn(70, 3 * 40)
    packed = gpu_pack.input_fragments(W, 48)
    assert packed.shape == (2 * 4, 2, 4, 32, 16)
    assert np.array_equal(np.sort(packed[packed != 0]), np.sort(W[W != 0]))
    assert packed[0, 0, 0, 0, 0] == W[0, 0] and packed[0, 0, 0, 1, 0] == W[16, 0] and packed[0, 0, 2, 0, 0] == W[0, 16]


def test_columns_by_block_put_the_gates_of_a_block_side_by_side():
    W = drawn(9, 3 * 100)
    rows, ordered = gpu_pack.product_rows(W, 128, 16), gpu_pack.product_rows(W, 128, 16, 64)
    for block in range(2):
        for gate in range(3):
            for unit in range(64):
                assert np.array_equal(ordered[192 * block + 64 * gate + unit], rows[128 * gate + 64 * block + unit])
    plain, packed = gpu_pack.input_fragments(W, 128), gpu_pack.input_fragments(W, 128, 64)
    assert np.array_equal(packed[:2], plain[:2])  # gate z of the first block, 32 columns each
    assert np.array_equal(packed[2:4], plain[4:6]) and np.array_equal(packed[6:8], plain[2:4])


def test_two_bytes_are_the_weight():
    W = np.array([[-32768, -257, -256, -255, -1, 0, 1, 127, 128, 255, 256, 32767]])
    high, low = gpu_pack.weight_bytes(W)
    assert np.array_equal(256 * high.astype(np.int64) + low.view(np.uint8), W)
    assert low.view(np.uint8)[0].tolist() == [0, 255, 0, 1, 255, 0, 1, 127, 128, 255, 0, 255]


@pytest.mark.parametrize("hidden", [1, 7, 16, 17, 64, 65, 100, 128, 129, 256, 320, 512, 640, 1000, 1024])
@pytest.mark.parametrize("datapath", ["mshift", "pot"])
def test_every_shape_covers_its_problem_and_fits(hidden, datapath):
    kind = Kind(datapath, (False,) * 3, plain=datapath == "mshift")
    for batch in (1, 2, 8, 9, 31, 32, 64, 100, 128, 300, 512, 1000, 5000, 100_000):
        shape = shape_for(hidden, batch, kind, batch * hidden * hidden)
        assert shape.width >= hidden and shape.length >= hidden and shape.valid <= shape.rows
        assert -(-batch // shape.valid) * shape.valid >= batch
        assert 1 <= shape.blocks <= 16 and shape.threads in (32, 64, 128, 256, 512)
        assert 0 < shape.held <= 6 * shape.chunks and shared_layout(shape, kind)["total"] <= SHARED_BYTES
        assert shape.units * shape.pass_rows % (shape.threads * shape.each) == 0
        assert shape.stride % 128 == 64 or (shape.grouped and shape.stride == shape.length)
        assert not shape.grouped or (shape.units, shape.splits, shape.passes, shape.extra) == (64, 2, 1, 0)


@pytest.mark.parametrize("hidden", [129, 320, 513, 1024])
@pytest.mark.parametrize("batch", [1, 8, 20, 33, 128])
def test_either_way_to_multiply_can_be_asked_for(hidden, batch):
    kind = Kind("pot", (False,) * 3, plain=True)
    for grouped in (False, True):
        shape = shape_for(hidden, batch, kind, units=64, grouped=grouped)
        assert shape.grouped == grouped and -(-batch // shape.valid) * shape.blocks <= 112
        layout = shared_layout(shape, kind)
        assert not grouped or all(layout[name] % 128 == 0 for name in ("state", "wx", "spill"))


def test_a_hidden_size_for_which_there_is_no_cluster():
    with pytest.raises(ValueError, match=f"H is {LARGEST + 1}, expected at most {LARGEST}"):
        shape_for(LARGEST + 1, 8, Kind("mshift", (False,) * 3))


def test_small_products_are_finished_first():
    kind = Kind("mshift", (False,) * 3, plain=True)
    shape = shape_for(256, 1, kind)
    assert share_before(shape, 1, 512, 512 * 256 * 768) == 1.0
    large = shape_for(1024, 64, kind, 64 * 1024 * 3072)
    assert share_before(large, 4, 512, 512 * 64 * 1024 * 3072) < 0.5
    assert piece_steps(512, 64) == 32 and piece_steps(5, 4096) == 1 and piece_steps(1, 1) == 1024


def test_a_set_that_could_leave_int32_is_not_plain():
    p = mshift_set()
    assert gpu_pack.mshift_constants(p).plain
    wild = replace(p, m_rRh=MShift(2**24 - 1, 0))
    constants = gpu_pack.mshift_constants(wild)
    assert not constants.plain and constants.wide.dtype == np.int64 and constants.wide.shape[0] == 4


def test_what_is_known_of_shifts():
    moves = [0, 2, 0, 3, 0, 7, 0, 3, 8, 8, 0, 0]  # as move_shifts has them
    assert gpu_pack.still_moves(moves) == STILL_Wx + STILL_A + STILL_SUM + SHIFTED
    for at, lost in ((0, STILL_Wx), (2, STILL_Wx), (6, STILL_Wx), (4, STILL_A), (10, STILL_SUM), (11, STILL_SUM)):
        for shift, shifted in ((1, at == 4), (-1, False)):  # of the three of Wx, or the two of the sum, the others stay 0
            changed = [shift if i == at else s for i, s in enumerate(moves)]
            assert gpu_pack.still_moves(changed) == STILL_Wx + STILL_A + STILL_SUM - lost + SHIFTED * shifted
    assert gpu_pack.still_moves([1] * 12) == SHIFTED and gpu_pack.still_moves([-1] * 12) == 0
    for at in (1, 3, 5, 7, 8, 9):
        for shift in (0, -2):
            assert gpu_pack.still_moves([shift if i == at else s for i, s in enumerate(moves)]) == 7


def test_constants_of_the_power_of_two_datapath():
    p = pot_set()
    assert gpu_pack.pot_width(p) == 32
    constants = gpu_pack.pot_constants(p, 32)
    assert constants.narrow.shape == (16, p.hidden_size) and constants.wide.shape[0] == 0 and len(constants.numbers) == 73
    h = p.operators["input.h"]
    assert constants.numbers[-1] == h.zero_point and constants.numbers[67] == h.fmt.qmax - h.zero_point
