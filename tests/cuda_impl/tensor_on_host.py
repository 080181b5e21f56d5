"""gpu_tensor's operations for threads_on_host: NumPy's products of the fragments and the states that lie there."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda_impl.threads_on_host import NOW, PLACES, copy

int32, int64 = np.int32, np.int64


def fetch_products(rows: int, units: int, threads: int, width: int) -> Any:
    """What gpu_tensor.fetch_products says of its operation."""
    quads, line = rows * units // 4, units // 4

    def fetch(thread: Any, target: Any, products: Any, first_row: Any, count: Any) -> None:
        for word in range(int(thread), 3 * quads, threads):
            gate, rest = divmod(word, quads)
            row, quad = rest // line + int(first_row), rest % line
            if row < count:
                copy(int(target) + 16 * word, int(products) + (3 * row + gate) * 4 * width + 16 * quad)

    return fetch


def left_operand(fragments: bytes, chunks: int, kind: Any = np.int8) -> np.ndarray:
    """[3 gates * 16 units, terms] of a warp's fragments, as gpu_pack.fragments has laid them down."""
    cut = np.frombuffer(fragments, kind).reshape(chunks, 3, 2, 8, 4, 2, 2, 4)
    return cut.transpose(1, 6, 3, 0, 4, 2, 5, 7).reshape(48, 64 * chunks).astype(int64)


def from_global(at: int, count: int) -> bytes:
    PLACES.check(at, 1), PLACES.check(at + count - 1, 1)
    return ctypes.string_at(at, count)


def state_rows(first: int, rows: int, stride: int, length: int) -> np.ndarray:
    return np.array([np.frombuffer(NOW.block.bytes, np.int8, length, first + r * stride) for r in range(rows)], int64)


def lay_down(sums: np.ndarray, out: int, kind: Any, red_row: int, red_gate: int) -> None:
    """Sums [48, rows] where the lanes of a warp put them."""
    for gate in range(3):
        for row, units in enumerate(sums[16 * gate : 16 * gate + 16].T.astype(kind)):
            at = out + gate * red_gate + row * red_row
            NOW.block.bytes[at : at + units.nbytes] = units.tobytes()


def lanes_agree(lanes: list[tuple], stride: int, red_row: int, size: int) -> tuple[int, int]:
    """(state, out) of the first lane; those of the others are where they must be."""
    state, out = (int(v) for v in lanes[0][-2:])
    for lane, given in enumerate(lanes):
        assert int(given[-2]) == state + (lane >> 2) * stride + 16 * (lane & 3)
        assert int(given[-1]) == out + (lane >> 2) * size + 2 * (lane & 3) * red_row
    return state, out


def multiply_rows(chunks: int, tiles: int, held: int, stride: int, red_row: int, red_gate: int) -> Any:
    def multiply(lanes: list[tuple]) -> None:
        state, out = lanes_agree(lanes, stride, red_row, 4)
        first, spill = (int(v) for v in lanes[0][:2])
        assert held == 6 * chunks or all(int(given[1]) == spill + 16 * lane for lane, given in enumerate(lanes))
        raw = from_global(first, 512 * held) + bytes(NOW.block.bytes[spill : spill + 512 * (6 * chunks - held)])
        rows = state_rows(state, 8 * tiles, stride, 64 * chunks)
        lay_down(left_operand(raw, chunks) @ rows.T, out, int32, red_row, red_gate)

    return multiply


def multiply_limbs(chunks: int, tiles: int, stride: int, plane: int, red_row: int, red_gate: int) -> Any:
    def multiply(lanes: list[tuple]) -> None:
        state, out = lanes_agree(lanes, stride, red_row, 8)
        raw, half = from_global(int(lanes[0][0]), 2 * 512 * 6 * chunks), 512 * 6 * chunks
        A = 256 * left_operand(raw[:half], chunks) + left_operand(raw[half:], chunks, np.uint8)
        high, low = (state_rows(at, 8 * tiles, stride, 64 * chunks) for at in (state, state + plane))
        lay_down(A @ (256 * high + low).T, out, int64, red_row, red_gate)

    return multiply


TENSOR = SimpleNamespace(
    fetch_products=fetch_products, multiply_rows=multiply_rows, multiply_limbs=multiply_limbs,
    load_fragments=lambda count: lambda at, lane: at,
)  # fmt: skip
