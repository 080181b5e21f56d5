"""Long chains: a step, or a whole cell, fed back into itself, with a digest and the state every few thousand steps.

The state is a row of int64 words; its last word w stirs the operands. All arithmetic on w is modulo 2**64:

    w' = w * 6364136223846793005 + 1442695040888963407 + feedback

ties_up, ties_away, ties_even   s = w >> 58 (logical), x = (w << 6) >> (w & 31) (arithmetic); feedback = y
requantize                      v = (int32)(w >> 16) >> (w >> 59); feedback = q
ema                             state (rmin, rmax, w), bit patterns; cmin = 0xbf000000 | (w >> 40 & 0xffffff),
                                cmax = 0x3f000000 | (w >> 16 & 0xffffff); feedback = rmin'
mshift_cell, pot_cell           state (h[0], ..., h[H-1], w); x = inputs[w >> 60]; feedback = h'[0]

The digest of a block is SHA-256 of the digest before it (32 zero bytes at the start) and of the states after each of its
steps, as little-endian int64. A port that differs finds the block by its digest, starts at the state before it and needs only
that block again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from golden import ranges, rescale, rounding
from golden.sequence import forward
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import MShift, Params
from vectors.steps import to_bits, to_reals

FACTOR, INCREMENT = 6364136223846793005, 1442695040888963407
MASK = 2**64 - 1
INPUTS = 16
ROUNDINGS: dict[str, Callable[..., np.ndarray]] = {
    "ties_up": rounding.ties_up,
    "ties_away": rounding.ties_away,
    "ties_even": rounding.ties_even,
}
CLAUSES = {
    "ties_up": "R-1",
    "ties_away": "R-2",
    "ties_even": "R-3",
    "requantize": "M-5",
    "ema": "E-1",
    "mshift_cell": "GM-3",
    "pot_cell": "GP-8",
}
CONSTANTS = {"requantize": ("M", "s", "zp", "bits", "signed")}


def width(chain: str, params: Params | None = None) -> int:
    """Words of the state of a chain."""
    if params is not None:
        return params.hidden_size + 1
    return 3 if chain == "ema" else 1


def trajectory(
    chain: str, constants: dict[str, int], start: np.ndarray, steps: int, params: Params | None = None, inputs: Any = None
) -> np.ndarray:
    """The states int64 [steps + 1, W] of a chain; every step is golden's.

    start   int64 [W]
    params, inputs  for a cell: the static parameter set, and the sixteen inputs [16, C]
    Raises  ParameterError when golden does not confirm a step
    """
    if chain in ("mshift_cell", "pot_cell"):
        assert params is not None
        return _cell(params, np.asarray(inputs), start, steps)
    if chain == "ema":
        return _ema(start, steps)
    proposed = np.array([_signed(w) for w in _propose(chain, constants, int(start[0]), steps)], np.int64)
    y = _golden(chain, constants, proposed[:-1])
    with np.errstate(over="ignore"):
        following = _stir(proposed[:-1], y)
    wrong = np.flatnonzero(following != proposed[1:])
    if wrong.size:
        raise ParameterError(
            f"chain {chain} step {int(wrong[0])}", int(proposed[wrong[0] + 1]), f"golden's {int(following[wrong[0]])}"
        )
    return proposed[:, None]


def checkpoints(states: np.ndarray, every: int) -> tuple[np.ndarray, list[str]]:
    """(states int64 [K, W], digests) after every block of `every` steps of a trajectory."""
    digest = bytes(32)
    found = []
    for block in range(1, len(states), every):
        digest = hashlib.sha256(digest + states[block : block + every].astype("<i8").tobytes()).digest()
        found.append(digest.hex())
    return states[every::every].copy(), found


def _stir(w: Any, feedback: Any) -> Any:
    return (w.astype(np.uint64) * np.uint64(FACTOR) + np.uint64(INCREMENT) + feedback.astype(np.uint64)).astype(np.int64)


def _signed(w: int) -> int:
    return w - 2**64 if w >> 63 else w


def _golden(chain: str, c: dict[str, int], w: np.ndarray) -> np.ndarray:
    """The result of the step for each state w, from golden."""
    logical = w.astype(np.uint64)
    if chain in ROUNDINGS:
        return ROUNDINGS[chain](
            (logical << np.uint64(6)).astype(np.int64) >> (w & 31), (logical >> np.uint64(58)).astype(np.int64)
        )
    v = (w >> 16).astype(np.int32).astype(np.int64) >> (logical >> np.uint64(59)).astype(np.int64)
    return rescale.requantize(v, MShift(c["M"], c["s"]), c["zp"], IntFormat(c["bits"], bool(c["signed"])))


def _propose(chain: str, c: dict[str, int], w: int, steps: int) -> Iterator[int]:
    """The states one after the other, in plain integers; golden confirms them all at once afterwards."""
    w &= MASK
    yield w
    step = _requantize(c) if chain == "requantize" else _rounding(chain)
    for _ in range(steps):
        w = (w * FACTOR + INCREMENT + step(w)) & MASK
        yield w


def _rounding(chain: str) -> Callable[[int], int]:
    def operands(w: int) -> tuple[int, int]:
        return _signed((w << 6) & MASK) >> (w & 31), w >> 58

    def up(w: int) -> int:
        x, s = operands(w)
        return (x >> s) + (x >> (s - 1) & 1) if s else x

    def away(w: int) -> int:
        x, s = operands(w)
        if not s:
            return x
        half = 1 << (s - 1)
        return (x + half) >> s if x >= 0 else -((-x + half) >> s)

    def even(w: int) -> int:
        x, s = operands(w)
        return (x + (1 << (s - 1)) - 1 + (x >> s & 1)) >> s if s else x

    return {"ties_up": up, "ties_away": away, "ties_even": even}[chain]


def _requantize(c: dict[str, int]) -> Callable[[int], int]:
    M, s, zp = c["M"], c["s"], c["zp"]
    fmt = IntFormat(c["bits"], bool(c["signed"]))
    low, high, half = fmt.qmin, fmt.qmax, (1 << s) >> 1

    def step(w: int) -> int:
        v = w >> 16 & 0xFFFFFFFF
        if v >> 31:
            v -= 1 << 32
        return min(max((((v >> (w >> 59)) * M + half) >> s) + zp, low), high)

    return step


def _ema(start: np.ndarray, steps: int) -> np.ndarray:
    bits = np.empty((steps + 1, 3), np.int64)
    bits[0] = start
    rmin, rmax = to_reals(start[:2])
    w = int(start[2]) & MASK
    for n in range(steps):
        c = np.array([0xBF000000 | (w >> 40 & 0xFFFFFF), 0x3F000000 | (w >> 16 & 0xFFFFFF)], np.uint32).view(np.float32)
        rmin, rmax = ranges.ema(rmin, rmax, c[0], c[1])
        pair = to_bits([rmin, rmax])
        w = (w * FACTOR + INCREMENT + int(pair[0])) & MASK
        bits[n + 1] = pair[0], pair[1], _signed(w)
    return bits


def _cell(params: Params, inputs: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """A cell with few units: golden gives the next state for every state and every input, the chain looks it up."""
    fmt, hidden = params.fmt_h, params.hidden_size
    if fmt.bits * hidden > 16 or inputs.shape != (INPUTS, params.input_size):
        raise ParameterError("chain", f"{hidden} units of {fmt}", f"a state of at most 16 bits and {INPUTS} inputs")
    span = fmt.qmax - fmt.qmin + 1
    codes = np.arange(span**hidden)
    units = [codes // span**u % span + fmt.qmin for u in range(hidden)]
    h0 = np.stack(units, axis=-1).astype(np.int32)
    following = []
    for x in inputs:
        h = forward(params, np.broadcast_to(x, (1, len(codes), len(x))), h0).h_n.astype(np.int64)
        following.append(sum((h[:, u] - fmt.qmin) * span**u for u in range(hidden)).tolist())
    code = int(sum((int(start[u]) - fmt.qmin) * span**u for u in range(hidden)))
    w, visited, stirred = int(start[hidden]) & MASK, [code], [_signed(int(start[hidden]) & MASK)]
    for _ in range(steps):
        code = following[w >> 60][code]
        w = (w * FACTOR + INCREMENT + code % span + fmt.qmin) & MASK
        visited.append(code)
        stirred.append(_signed(w))
    return np.concatenate([h0[np.array(visited)].astype(np.int64), np.array(stirred, np.int64)[:, None]], axis=1)
