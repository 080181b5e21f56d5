"""One scalar step over whole arrays, on any target: for sweeps and for comparing steps.

    map_step("ties_up", x, s)                         int64 arrays or numbers, broadcast against each other
    map_step("quantize", v, scale, zp, qmin, qmax)    float32 where the step takes reals
    map_step("activate", q, table=t)                  t a table of golden.spec.tables
    map_step("asymmetric", rmin, rmax, qmin, qmax)    -> (scale, zero_point), two arrays

STEPS lists every step with the kinds of its arguments and results: i int64, f float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl import launch
from cuda_impl.activation import activate, direct, direct_wide, pack, piecewise_linear, piecewise_quadratic
from cuda_impl.hidden import pot_one, zoneout_blend, zoneout_factor, zoneout_mask
from cuda_impl.intrinsics import fadd, fdiv, first_row, fmul, fsub, lane, lanes, nearest_even, row_step
from cuda_impl.quantize import dequantize, quantize, quantize_bias, quantize_reciprocal, reciprocal
from cuda_impl.ranges import asymmetric, ema, symmetric
from cuda_impl.rescale import align, apply, derive, requantize
from cuda_impl.rounding import saturate, shift_round, ties_away, ties_even, ties_up
from golden.spec.errors import ParameterError

CHUNK = 1 << 20  # elements at a time
SPAN = 256  # elements of a row

# name: number, kinds of the arguments, kinds of the results, whether a table is needed
STEPS: dict[str, tuple[int, str, str, bool]] = {
    "fadd": (0, "ff", "f", False),
    "fsub": (1, "ff", "f", False),
    "fmul": (2, "ff", "f", False),
    "fdiv": (3, "ff", "f", False),
    "nearest_even": (4, "f", "i", False),
    "saturate": (5, "iii", "i", False),
    "ties_up": (6, "ii", "i", False),
    "ties_away": (7, "ii", "i", False),
    "ties_even": (8, "ii", "i", False),
    "shift_round": (9, "iii", "i", False),
    "quantize": (10, "ffiii", "i", False),
    "reciprocal": (11, "f", "f", False),
    "quantize_reciprocal": (12, "ffiii", "i", False),
    "dequantize": (13, "ifi", "f", False),
    "quantize_bias": (14, "ffii", "i", False),
    "derive": (15, "ffii", "i", False),
    "apply": (16, "iii", "i", False),
    "align": (17, "iii", "i", False),
    "requantize": (18, "iiiiii", "i", False),
    "ema": (19, "ffff", "ff", False),
    "asymmetric": (20, "ffii", "fi", False),
    "symmetric": (21, "ffi", "fi", False),
    "direct": (22, "i", "i", True),
    "direct_wide": (23, "i", "i", True),
    "piecewise_linear": (24, "i", "i", True),
    "piecewise_quadratic": (25, "i", "i", True),
    "activate": (26, "i", "i", True),
    "pot_one": (27, "iii", "i", False),
    "zoneout_factor": (28, "f", "i", False),
    "zoneout_blend": (29, "iiiiii", "ii", False),
    "zoneout_mask": (30, "iii", "i", False),
}


def real_step(which, i, q, f, table, q_out, f_out):
    """Step number `which` on element i, for the steps that take or give reals."""
    if which == 0:
        f_out[0, i] = fadd(f[0, i], f[1, i])
    elif which == 1:
        f_out[0, i] = fsub(f[0, i], f[1, i])
    elif which == 2:
        f_out[0, i] = fmul(f[0, i], f[1, i])
    elif which == 3:
        f_out[0, i] = fdiv(f[0, i], f[1, i])
    elif which == 4:
        q_out[0, i] = nearest_even(f[0, i])
    elif which == 10:
        q_out[0, i] = quantize(f[0, i], f[1, i], q[0, i], q[1, i], q[2, i])
    elif which == 11:
        f_out[0, i] = reciprocal(f[0, i])
    elif which == 12:
        q_out[0, i] = quantize_reciprocal(f[0, i], f[1, i], q[0, i], q[1, i], q[2, i])
    elif which == 13:
        f_out[0, i] = dequantize(q[0, i], f[0, i], q[1, i])
    elif which == 14:
        q_out[0, i] = quantize_bias(f[0, i], f[1, i], q[0, i], q[1, i])
    elif which == 15:
        q_out[0, i] = derive(f[0, i], f[1, i], q[0, i], q[1, i])
    elif which == 19:
        f_out[0, i], f_out[1, i] = ema(f[0, i], f[1, i], f[2, i], f[3, i])
    elif which == 20:
        f_out[0, i], q_out[0, i] = asymmetric(f[0, i], f[1, i], q[0, i], q[1, i])
    elif which == 21:
        f_out[0, i], q_out[0, i] = symmetric(f[0, i], f[1, i], q[0, i])
    elif which == 28:
        q_out[0, i] = zoneout_factor(f[0, i])


def integer_step(which, i, q, f, table, q_out, f_out):
    """Step number `which` on element i, for the steps in integers only."""
    if which == 5:
        q_out[0, i] = saturate(q[0, i], q[1, i], q[2, i])
    elif which == 6:
        q_out[0, i] = ties_up(q[0, i], q[1, i])
    elif which == 7:
        q_out[0, i] = ties_away(q[0, i], q[1, i])
    elif which == 8:
        q_out[0, i] = ties_even(q[0, i], q[1, i])
    elif which == 9:
        q_out[0, i] = shift_round(q[0, i], q[1, i], q[2, i])
    elif which == 16:
        q_out[0, i] = apply(q[0, i], q[1, i], q[2, i])
    elif which == 17:
        q_out[0, i] = align(q[0, i], q[1, i], q[2, i])
    elif which == 18:
        q_out[0, i] = requantize(q[0, i], q[1, i], q[2, i], q[3, i], q[4, i], q[5, i])
    elif which == 22:
        q_out[0, i] = direct(q[0, i], table)
    elif which == 23:
        q_out[0, i] = direct_wide(q[0, i], table)
    elif which == 24:
        q_out[0, i] = piecewise_linear(q[0, i], table)
    elif which == 25:
        q_out[0, i] = piecewise_quadratic(q[0, i], table)
    elif which == 26:
        q_out[0, i] = activate(q[0, i], table)
    elif which == 27:
        q_out[0, i] = pot_one(q[0, i], q[1, i], q[2, i])
    elif which == 29:
        q_out[0, i], q_out[1, i] = zoneout_blend(q[0, i], q[1, i], q[2, i], q[3, i], q[4, i], q[5, i])
    elif which == 30:
        q_out[0, i] = zoneout_mask(q[0, i], q[1, i], q[2, i])


def map_reals(start, stop, which, q, f, table, q_out, f_out):
    """real_step over all elements, SPAN of them to a row."""
    for row in range(first_row(start), stop, row_step()):
        for i in range(row * SPAN + lane(), min((row + 1) * SPAN, q.shape[1]), lanes()):
            real_step(which, i, q, f, table, q_out, f_out)


def map_integers(start, stop, which, q, f, table, q_out, f_out):
    """integer_step over all elements, SPAN of them to a row."""
    for row in range(first_row(start), stop, row_step()):
        for i in range(row * SPAN + lane(), min((row + 1) * SPAN, q.shape[1]), lanes()):
            integer_step(which, i, q, f, table, q_out, f_out)


def map_step(name: str, *arguments: Any, table: Any = None, device: str = "auto") -> Any:
    """A scalar step of the twin over arrays.

    name       a key of STEPS
    arguments  arrays or numbers in the order of the step's parameters, broadcast against each other; int64 or float32
    table      a table of golden.spec.tables, for the activations
    device     as in sequence.forward
    Returns    int64 or float32 array of the broadcast shape, or a tuple of two
    Raises     ParameterError for an unknown step, a wrong number of arguments, reals where integers belong
    """
    if name not in STEPS:
        raise ParameterError("step", repr(name), f"one of {', '.join(STEPS)}")
    number, kinds, results, needs_table = STEPS[name]
    if len(arguments) != len(kinds):
        raise ParameterError(f"arguments of {name}", len(arguments), f"{len(kinds)} arrays or numbers")
    if needs_table != (table is not None):
        raise ParameterError(f"table of {name}", type(table).__name__, "a table" if needs_table else "none")
    arrays = [_argument(name, k, a) for k, a in zip(kinds, arguments)]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    flat = [np.broadcast_to(a, shape).reshape(-1) if a.ndim else a for a in arrays]
    size = int(np.prod(shape))
    target = launch.target(device)
    packed = target.put(pack(table) if needs_table else np.zeros((1, 8), np.int64))
    program = "map_reals" if "f" in kinds + results else "map_integers"
    outputs = [np.empty(size, np.int64 if k == "i" else np.float32) for k in results]
    for first in range(0, size, CHUNK):
        part = slice(first, min(first + CHUNK, size))
        count = part.stop - first
        q, f = np.zeros((max(1, kinds.count("i")), count), np.int64), np.zeros((max(1, kinds.count("f")), count), np.float32)
        rows: dict[str, Any] = {"i": iter(q), "f": iter(f)}
        for kind, array in zip(kinds, flat):
            next(rows[kind])[:] = array[part] if array.ndim else array
        q_out, f_out = target.empty((2, count), np.int64), target.empty((2, count), np.float32)
        target.run(program, -(-count // SPAN), number, target.put(q), target.put(f), packed, q_out, f_out, work=SPAN)
        found = {"i": iter(target.get(q_out)), "f": iter(target.get(f_out))}
        for kind, output in zip(results, outputs):
            output[part] = next(found[kind])
    shaped = tuple(o.reshape(shape) for o in outputs)
    return shaped if len(shaped) > 1 else shaped[0]


def _argument(name: str, kind: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if kind == "i":
        if array.dtype.kind not in "iu":
            raise ParameterError(f"argument of {name}", f"an array of {array.dtype}", "integers")
        return array.astype(np.int64)
    with np.errstate(over="ignore"):
        return array.astype(np.float32)
