"""Constants of datapath P for arithmetic in binary32 that is exact, and which sets allow it.  [SPEC G-P, R-2, R-3]

A code less its zero point is a multiple of 1/256. So are sums of them; these stay below 2^14, so that binary32 has them, and
1.5 * 2^15 more or less too. RS(x, s) is x * f + 1.5 * 2^15 with f = 2^-s / 256 * (1 + e), rounded once, to a multiple of 1/256.

e = 0     for ties to even and where nothing is shifted out: x * f has no error
e > 0     for ties away from zero: it moves a tie off the middle, away from zero, and what lies below a tie lies below it by
          2^-s at least and is moved by |x| * 2^-s * e, which is less while |x| * e < 1
NEAR      is the least e there is; APART that of a factor which codes were multiplied by beforehand, so that binary32 has those
          products; |x| stays below 2^16 there

Of the sums of products those above 2^23 may be in error, where everything as large as that saturates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuda_impl.fast import gpu_pack
from cuda_impl.fast.gpu_layout import POT_UNIT, REAL_TABLE, STILL_A, STILL_SUM, STILL_Wx
from cuda_impl.fast.gpu_pack import Constants, column_sums, gate_tables, modulo_int32, offset, still_moves
from cuda_impl.fast.gpu_real import REAL_NUMBERS
from cuda_impl.fast.pack_pot import KEYS, OPERATORS, biases, move_shifts, one_of, product_shifts
from golden.spec.bounds import spread
from golden.spec.params import PotParams
from golden.spec.rounding import Rounding

NEAR, APART = 2.0**-23, 2.0**-16
REACH, TERM, BIG = 2**23, 2**20, 1.5 * 2**15  # |x| under RS;  a term of a sum, in codes;  what makes RS


class NotExact(ValueError):
    """The set would not be exact in binary32."""


def must(condition: Any) -> None:
    """Raise NotExact unless it holds everywhere."""
    if not np.all(condition):
        raise NotExact


def words(values: Any) -> np.ndarray:
    """The bits, as int64 of int32, of numbers that binary32 has; NotExact where it has one not."""
    exact = np.asarray(values, np.float64)
    rounded = exact.astype(np.float32)
    must(rounded == exact)
    return rounded.view(np.int32).astype(np.int64)


def factor(shift: Any, away: bool, push: float = NEAR) -> np.ndarray:
    """f of a shift, as float64, without error."""
    s = np.asarray(shift, np.int64)
    return np.ldexp(np.where((s > 0) & away, 1.0 + push, 1.0), -8 - s)


def moved(reach: int, shift: int, push: float = NEAR) -> None:
    """RS of integers up to `reach` is exact, and a term of a sum."""
    must(reach * push < 1 and reach * 2.0 ** max(-shift, 0) <= TERM)


def pot_constants(p: PotParams, bits: int) -> Constants:
    """Everything of a set of datapath P for the quickest arithmetic that is exact; bits are 32 or 64, as pot_width has them."""
    real = real_constants(p) if bits == 32 else None
    return real or gpu_pack.pot_constants(p, bits)


def real_constants(p: PotParams) -> Constants | None:
    """Everything of a set of datapath P for gpu_real's cell; None where that would not be exact.  [SPEC GP]

    The set's own arithmetic fits 32 bits, as gpu_pack.pot_width says.
    """
    try:
        return _constants(p)
    except NotExact:
        return None


def _constants(p: PotParams) -> Constants:
    ops, away = p.operators, p.rounding is Rounding.TIES_AWAY
    fmt = {name: ops[key].fmt for name, key in zip(OPERATORS, KEYS)}
    zero = {name: ops[key].zero_point for name, key in zip(OPERATORS, KEYS)}
    stages = ("Wx", "Rh", "A", "P", "O", "N", "h")
    centred = {name: (fmt[name].qmin - zero[name], fmt[name].qmax - zero[name]) for name in stages}
    bounds = centred | {gate: (fmt[f"{gate}_pre"].qmin, fmt[f"{gate}_pre"].qmax) for gate in "zrg"}
    must([high - low <= 255 and max(-low, high) <= TERM for low, high in bounds.values()])
    reach = {name: max(-low, high) for name, (low, high) in bounds.items()}
    names = ("Wx_z", "Rh_z", "Wx_r", "Rh_r", "A", "P", "Wx_g", "P_g", "O", "N", "O_h", "N_h")
    shifts = {name: int(s) for name, s in zip(names, move_shifts(p))}
    still = still_moves(list(shifts.values())) & (STILL_Wx + STILL_A + STILL_SUM)
    sources = {name: name.split("_")[0] for name in names if "_" in name} | {"A": "Rh"}
    for name, source in sources.items():
        moved(reach[source], shifts[name])

    numbers = {f"{name}_span": (high - low) / 256 for name, (low, high) in bounds.items()}
    numbers |= {f"{name}_high": high / 256 for name, (_low, high) in centred.items() if name != "h"}
    numbers |= {f"{name}_low": -low / 256 - BIG for name, (low, _high) in centred.items() if name != "A"}
    if still & STILL_SUM:
        numbers["h_low"] = (bounds["O"][1] + bounds["N"][1] - bounds["h"][0]) / 256
    numbers |= {name: 256 * float(factor(shifts[name], away)) for name in sources}  # of steps of 1/256
    tables, old = _tables(p, shifts, reach, away)
    numbers |= {"old": old, "old_zero": -zero["h"] * old, "one": one_of(p) - zero["z"]}
    bits = {name: int(words(value)) for name, value in numbers.items()}
    bits |= {"count": fmt["h"].qmax - fmt["h"].qmin, "first": fmt["h"].qmin}
    return Constants(
        wide=np.zeros((0, p.hidden_size), np.int64),
        narrow=modulo_int32(_units(p, bounds, still, away)),
        numbers=np.array([bits[name] for name in REAL_NUMBERS], np.int64),
        tables=tables,
        far=np.zeros((1, 1), np.int32),
        far_gates=(False,) * 3,
        plain=True,
        left=False,
        still=still,
        real=True,
    )


def _tables(p: PotParams, shifts: dict[str, int], reach: dict[str, int], away: bool) -> tuple[np.ndarray, float]:
    """int32 [3, REAL_TABLE], what each gate's input less its least finds, the last one for all beyond; the factor of h."""
    ops = p.operators
    near, _far, far_gates = gate_tables(tuple(ops[f"gate.{k}_pre"].fmt for k in "zrg"), (p.act_z, p.act_r, p.act_g))
    must(not any(far_gates))
    codes = np.zeros((3, REAL_TABLE), np.int64)
    for gate, k in enumerate("zrg"):
        fmt = ops[f"gate.{k}_pre"].fmt
        count = fmt.qmax - fmt.qmin + 1
        codes[gate, :count] = near[gate, :count]
        codes[gate, count:] = near[gate, count - 1]
        codes[gate] -= ops[f"gate.{k}_out"].zero_point
    z, r, g = codes
    rest, h = one_of(p) - ops["gate.z_out"].zero_point - z, ops["input.h"]
    for name, left, right in (("P", r, reach["A"]), ("O", z, spread(h.fmt, h.zero_point)), ("N", rest, int(np.abs(g).max()))):
        most = int(np.abs(left).max()) * right
        must(most < REACH and (not away or shifts[name] <= 0 or most * APART < 1))
    scaled_r = r * factor(shifts["P"], away, APART) * 256  # the other operand is in steps of 1/256
    scaled_g = g * factor(shifts["N"], away, APART)
    old = float(factor(shifts["O"], away, APART))
    words(old * (np.arange(h.fmt.qmin, h.fmt.qmax + 1) - h.zero_point))  # what h times it becomes
    return np.stack([words(z), words(scaled_r), words(scaled_g)]).astype(np.int32), old


def _units(p: PotParams, bounds: dict[str, tuple[int, int]], still: int, away: bool) -> np.ndarray:
    """int64 [16, H] as POT_UNIT: what is added to the raw products, the factors of RS, what is added to the aligned terms."""
    ops, hidden = p.operators, p.hidden_size
    rows: dict[str, np.ndarray] = {}
    data = (("Wx", "input.x", p.W), ("Rh", "input.h", p.R))
    for (name, key, weights), shifts in zip(data, product_shifts(p)):
        fmt, zero = ops[key].fmt, ops[key].zero_point
        more = (offset(fmt) - zero) * column_sums(weights)
        most = np.abs(weights.astype(np.int64)).sum(axis=0) * spread(fmt, zero)
        beyond = np.ldexp(1.0, np.clip(23 - shifts, -100, 100))  # what RS gives of REACH
        must((most < REACH) | (beyond > max(-bounds[name][0], bounds[name][1])))
        factors = words(factor(shifts, away)).reshape(3, hidden)
        for gate, k in enumerate("zrg"):
            rows[f"{name}_{k}"], rows[f"s_{name}_{k}"] = more[gate], factors[gate]
    added = dict(zip("zrAg", biases(p)))
    added["A"] = added["A"] - ops["op.Rh_add_br"].zero_point
    must([np.abs(row).max() <= TERM for row in added.values()])
    for k in "zrg":
        from_Wx = bounds["Wx"][1] if still & STILL_Wx else 0
        rows[k] = words((added[k] - bounds[k][0] + from_Wx) / 256 - BIG)
    from_Rh, less = (bounds["Rh"][1], 0.0) if still & STILL_A else (0, BIG)
    rows["A"] = words((added["A"] - bounds["A"][0] + from_Rh) / 256 - less)
    return np.stack([rows[name] for name in POT_UNIT])
