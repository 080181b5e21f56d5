"""The float boundary: nearest_even on every binary32 number, and what is built on it.  [SPEC Q, E, M-2]

A float is taken apart by its exponent: with the exponent known it is an integer times a power of two, so the clause speaks of
integers and of the roundings of R. Each other step is its clause's operations, one rounding each, in their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import z3

from verification.proofs.case import INT32, Case
from verification.proofs.rounding_steps import WIDE, floor_is, is_even
from verification.proofs.values import RNE, SINGLE, Cells, is_known, to_float

NEAREST = z3.Function("nearest_even", SINGLE, z3.BitVecSort(64))
BELOW_HALF, HALF, LAST_EXPONENT = 125, 126, 157  # biased exponents: below 2^-1, from 2^-1 on, below 2^31


def f32(value: float) -> Any:
    """A known binary32 number as a term."""
    return to_float(np.float32(value), SINGLE)


def with_exponent(case: Case, first: int, last: int) -> tuple[Any, Any, Any]:
    """(t, sign, significand with its hidden bit) of a float whose biased exponent is in [first, last]."""
    sign, exponent, fraction = z3.BitVec("sign", 1), z3.BitVec("exponent", 8), z3.BitVec("fraction", 23)
    e: Any = z3.BitVecVal(first, 8) if first == last else exponent
    if first != last:
        case.assume(z3.UGE(exponent, first), z3.ULE(exponent, last))
    t = z3.fpBVToFP(z3.Concat(sign, e, fraction), SINGLE)
    case.inputs["t"] = t
    return t, sign, z3.ZeroExt(WIDE - 24, z3.Concat(z3.BitVecVal(1, 1), fraction))


def nearest(first: int, last: int, case: Case) -> None:
    """nearest_even on the floats of these exponents, both signs."""
    t, sign, m = with_exponent(case, first, last)
    q = z3.SignExt(WIDE - 64, case.run("intrinsics.nearest_even", t))
    x = z3.If(sign == 1, -m, m)
    if last <= BELOW_HALF:
        case.goal("what is less than a half is 0", q == 0)
    elif first <= LAST_EXPONENT:
        case.goal("q is the nearest integer, a tie to the even one", is_even(q, x, 150 - first))
    else:
        case.goal("NaN is 0", z3.Implies(z3.fpIsNaN(t), q == 0))
        case.goal("from 2^31 on it is 2^31 - 1", z3.Implies(z3.And(z3.Not(z3.fpIsNaN(t)), sign == 0), q == INT32[1]))
        case.goal("from -2^31 down it is -2^31", z3.Implies(z3.And(z3.Not(z3.fpIsNaN(t)), sign == 1), q == INT32[0]))


def nearest_of(case: Case) -> Any:
    """nearest_even as an unknown function into int32, in the twin and in the clause; itself to look for a counterexample."""
    if case.fixed is not None:
        return converted

    def found(t: Any) -> Any:
        q = NEAREST(to_float(t, SINGLE))
        case.facts += [q >= INT32[0], q <= INT32[1]]
        return q

    case.contract({"intrinsics.nearest_even": found})
    return NEAREST


def converted(t: Any) -> Any:
    """The conversion of a float to an integer, saturating, as SMT-LIB has it."""
    last, first = (z3.BitVecVal(v, 64) for v in (INT32[1], INT32[0]))
    inside = z3.fpToSBV(RNE, t, z3.BitVecSort(64))
    far = z3.If(z3.fpGEQ(t, f32(2.0**31)), last, z3.If(z3.fpLEQ(t, f32(-(2.0**31))), first, inside))
    return z3.If(z3.fpIsNaN(t), z3.BitVecVal(0, 64), far)


def saturated(q: Any, low: Any, high: Any) -> Any:
    larger = z3.If(q >= low, q, low)
    return z3.If(larger <= high, larger, high)


def whole(q: Any) -> Any:
    """f32 of an integer."""
    return z3.fpSignedToFP(RNE, q, SINGLE)


def quantizing(name: str, case: Case) -> None:
    nearest_even = nearest_of(case)
    v, scale = case.real("v"), case.real("scale", finite=True, positive=True)
    zp, low, high = case.integer("zero_point", *INT32), case.integer("qmin", *INT32), case.integer("qmax", *INT32)
    case.assume(low <= high)
    if case.fixed is not None:
        case.assume(scale == f32(1.0))
    if name == "quantize_bias":
        found = case.run("quantize.quantize_bias", v, scale, low, high)
        t = z3.fpDiv(RNE, v, scale)
    else:
        found = case.run(f"quantize.{name}", v, scale, zp, low, high)
        t = (z3.fpDiv if name == "quantize" else z3.fpMul)(RNE, v, scale)
        t = z3.fpAdd(RNE, t, whole(zp))
    case.equal(["q"], found, saturated(nearest_even(t), low, high))


def dequantizing(case: Case) -> None:
    q, zp = case.integer("q", *INT32), case.integer("zero_point", *INT32)
    scale = case.real("scale", finite=True, positive=True)
    case.equal(["v"], case.run("quantize.dequantize", q, scale, zp), z3.fpMul(RNE, whole(q - zp), scale))


def reciprocal(case: Case) -> None:
    scale = case.real("scale", finite=True, positive=True)
    case.equal(["inverse"], case.run("quantize.reciprocal", scale), z3.fpDiv(RNE, f32(1.0), scale))


def averaging(case: Case) -> None:
    keep, take = (z3.simplify(z3.fpRealToFP(RNE, z3.Q(n, 10), SINGLE)) for n in (9, 1))
    values = [case.real(n, finite=True) for n in ("rmin", "rmax", "cmin", "cmax")]
    wanted = tuple(z3.fpAdd(RNE, z3.fpMul(RNE, keep, r), z3.fpMul(RNE, take, c)) for r, c in zip(values[:2], values[2:]))
    case.equal(["rmin", "rmax"], case.run("ranges.ema", *values), wanted)


def extreme(count: int, case: Case) -> None:
    values = [case.real(f"v_{i}", finite=True) for i in range(count)]
    low, high = case.run("ranges.extremes", Cells(np.array(values, object), "float32"), 1, 1)
    zero = z3.fpPlusZero(SINGLE)
    for name, found, order in (("least", low, z3.fpLEQ), ("greatest", high, z3.fpGEQ)):
        case.goal(f"no value is beyond the {name}", z3.And(*(order(found, v) for v in values)))
        case.goal(f"the {name} is one of the values", z3.Or(*(z3.fpEQ(found, v) for v in values)))
        case.goal(f"a {name} of zero is +0.0", z3.Implies(z3.fpIsZero(found), found == zero))


def lower_and_upper(case: Case) -> None:
    a, b = case.real("a"), case.real("b")
    for name, order in (("lower", z3.fpLEQ), ("upper", z3.fpGEQ)):
        found = case.machine.call(f"ranges.{name}", (a, b))
        either = z3.Or(z3.fpIsNaN(a), z3.fpIsNaN(b))
        case.goal(f"{name} of a NaN is NaN", z3.Implies(either, z3.fpIsNaN(found)))
        good = z3.And(order(found, a), order(found, b), z3.Or(found == a, found == b))
        case.goal(f"{name} is one of both, and not beyond the other", z3.Implies(z3.Not(either), good))


DIVIDED = z3.Function("fdiv", SINGLE, SINGLE, SINGLE)


def never_fixed(name: str, low: int, high: int) -> int:
    """Asks for the divisions themselves; there is no shift to fix."""
    raise ValueError(name)


def quotients(case: Case) -> Any:
    """f32(a / b) as an unknown function, in the twin and in the clause; the division itself to find a counterexample."""
    if case.fixed is not None:
        return lambda a, b: z3.fpDiv(RNE, to_float(a, SINGLE), to_float(b, SINGLE))
    case.contract({"intrinsics.fdiv": lambda a, b: DIVIDED(to_float(a, SINGLE), to_float(b, SINGLE))})
    return DIVIDED


def asymmetric(narrow: bool, low: int, high: int, case: Case) -> None:
    nearest_even = nearest_of(case)
    divide = quotients(case)
    rmin, rmax = case.real("rmin", finite=True), case.real("rmax", finite=True)
    zero, width = z3.fpPlusZero(SINGLE), f32(2.0**-8)
    lo = z3.If(z3.fpLT(rmin, zero), rmin, zero)
    hi = z3.If(z3.fpGT(rmax, zero), rmax, zero)
    first = z3.fpSub(RNE, hi, lo)
    case.assume(z3.Not(z3.fpIsInf(first)), z3.fpLT(first, width) if narrow else z3.fpGEQ(first, width))
    if narrow:
        hi = z3.fpAdd(RNE, lo, width)
    scale = divide(z3.fpSub(RNE, hi, lo), f32(high - low))
    zp = saturated(nearest_even(z3.fpSub(RNE, f32(low), divide(lo, scale))), low, high)
    case.equal(["scale", "zero_point"], case.run("ranges.asymmetric", rmin, rmax, low, high), (scale, zp))


def symmetric(high: int, case: Case) -> None:
    divide = quotients(case)
    rmin, rmax = case.real("rmin", finite=True), case.real("rmax", finite=True)
    amax = z3.fpMax(z3.fpMax(z3.fpAbs(rmin), z3.fpAbs(rmax)), f32(2.0**-9))
    case.equal(["scale", "zero point"], case.run("ranges.symmetric", rmin, rmax, high), (divide(amax, f32(high)), 0))


def ratio(s: int, case: Case) -> None:
    """p of M-2 is f32(f32(s_from / s_to) * 2^s), whatever is made of it, and never NaN or negative."""
    s_from, s_to = case.real("s_from", finite=True, positive=True), case.real("s_to", finite=True, positive=True)
    seen: list[Any] = []
    divide = quotients(case)

    def product(a: Any, b: Any) -> Any:
        seen.append(z3.fpMul(RNE, to_float(a, SINGLE), to_float(b, SINGLE)))
        return f32(1.0)

    case.contract({"intrinsics.fmul": product})
    case.machine.call("rescale.derive", (s_from, s_to, s, INT32[1]))
    case.goal("one product is taken", len(seen) == 1)
    case.equal(["p"], seen[0], z3.fpMul(RNE, divide(s_from, s_to), f32(2.0**s)))


def never_nan(case: Case) -> None:
    """A quotient of two finite positive floats, times a power of two from 1 to 2^31, is 0, positive or +inf."""
    s_from, s_to, q, power = (case.real(n) for n in ("s_from", "s_to", "q", "power"))
    for v in (s_from, s_to):
        case.assume(z3.fpGT(v, z3.fpPlusZero(SINGLE)), z3.Not(z3.fpIsInf(v)))
    case.assume(z3.fpGEQ(power, f32(1.0)), z3.fpLEQ(power, f32(2.0**31)))
    quotient = z3.fpDiv(RNE, s_from, s_to)
    case.goal(
        "s_from / s_to is not NaN and not negative", z3.And(z3.Not(z3.fpIsNaN(quotient)), z3.Not(z3.fpIsNegative(quotient)))
    )
    p = z3.fpMul(RNE, q, power)
    sound = z3.And(z3.Not(z3.fpIsNaN(q)), z3.Not(z3.fpIsNegative(q)))
    case.goal("nor is its product", z3.Implies(sound, z3.And(z3.Not(z3.fpIsNaN(p)), z3.Not(z3.fpIsNegative(p)))))


LIMITS = {"2^31-1": 2**31 - 1, "2^24-1": 2**24 - 1, "2^62": 2**62}


def multiplier(limit: int, first: int, last: int, case: Case) -> None:
    """M is floor(p + 1/2), at most the limit, for every p of these exponents."""
    p, sign, m = with_exponent(case, first, last)
    case.assume(sign == 0, z3.Not(z3.fpIsNaN(p)))
    case.contract({"intrinsics.fmul": lambda a, b: p})
    found = z3.SignExt(WIDE - 64, case.machine.call("rescale.derive", (f32(1.0), f32(1.0), 0, limit)))
    if last <= BELOW_HALF:
        case.goal("below a half it is 0", found == 0)
        return
    if first > 127 + limit.bit_length():
        case.goal("above the limit it is the limit", found == limit)
        return
    s = 150 - first  # p = m * 2^-s, so that p + 1/2 = (2m + 2^s) / 2^(s + 1)
    exact = z3.BitVec("floor", WIDE)
    case.inputs["floor"] = exact
    if s >= 0:
        case.assume(exact >= 0, exact < (1 << 70), floor_is(exact, 2 * m + (1 << s), s + 1))
    else:
        case.assume(exact == m << -s)
    case.goal("M is floor(p + 1/2), at most the limit", found == z3.If(exact > limit, z3.BitVecVal(limit, WIDE), exact))


LEAST_SCALE, MOST = 1.53e-5, 515


def least_scale(is_symmetric: bool, case: Case) -> None:
    """No int8 scale is below 1.53e-5, which is a little less than 2^-8 / 255."""
    least = 2.0**-9 if is_symmetric else 0.00390624
    a = case.real("a", finite=True)
    case.assume(z3.fpGEQ(a, f32(least)))
    case.goal("the scale of the least width", z3.fpGEQ(z3.fpDiv(RNE, a, f32(127 if is_symmetric else 255)), f32(LEAST_SCALE)))

    def divided(width: Any, by: Any) -> Any:
        if is_known(by):  # the scale; the other division is the zero point's
            width = to_float(width, SINGLE)
            case.goal("the width that is divided", z3.Or(z3.fpIsInf(width), z3.fpGEQ(width, f32(least))))
        return f32(1.0)

    rmin, rmax = case.real("rmin", finite=True), case.real("rmax", finite=True)
    case.contract({"intrinsics.fdiv": divided, "intrinsics.nearest_even": lambda t: z3.BitVecVal(0, 64)})
    if is_symmetric:
        case.machine.call("ranges.symmetric", (rmin, rmax, 127))
    else:
        case.machine.call("ranges.asymmetric", (rmin, rmax, -128, 127))


def greatest_ratio(case: Case) -> None:
    s_one = to_float(case.machine.twin.globals_of("rescale.derive")["S_ONE"], SINGLE)
    scale = case.real("scale", finite=True)
    case.assume(z3.fpGEQ(scale, f32(LEAST_SCALE)))
    case.goal("s_one / s_h is at most 515", z3.fpLEQ(z3.fpDiv(RNE, s_one, scale), f32(MOST)))


def dynamic_state(s: int, case: Case) -> None:
    m, n = z3.Ints("M B_n")
    case.inputs.update(M=m, B_n=n)
    case.assume(m >= 0, m <= MOST * 2**s, 2 * n * 2**s <= 2 * 127 * 128 * m + 2**s)
    case.goal("127 * max|h - zp| + B_n < 2^31", 127 * 255 + n < 2**31)


def step_multipliers(case: Case) -> None:
    """derive_step against the list of G-M and D: which scales each multiplier stands for."""
    made: dict[tuple[int, int], Any] = {}

    def derived(a: Any, b: Any, shift: int, limit: int) -> Any:
        key = (int(shift), int(limit))
        made.setdefault(key, z3.Function(f"derive_{len(made)}", SINGLE, SINGLE, z3.BitVecSort(64)))
        return made[key](to_float(a, SINGLE), to_float(b, SINGLE))

    case.contract({"rescale.derive": derived})
    names = case.machine.twin.globals_of("dynamic.derive_step")
    s_Wx, s_h, s_r, s_b = (case.real(n, finite=True, positive=True) for n in ("s_Wx", "s_h", "s_r", "s_b"))
    gates = [case.real(n, finite=True, positive=True) for n in ("s_z", "s_r_gate", "s_g")]
    new, weights = np.full(names["REALS"], f32(0.0), object), np.full(names["WEIGHT_REALS"], f32(0.0), object)
    new[names["SCALE_WX"]], new[names["SCALE_H"]] = s_Wx, s_h
    weights[names["SCALE_R"]], weights[names["SCALE_B"]] = s_r, s_b
    row = Cells(np.zeros(case.machine.twin.globals_of("cell.mshift_cell")["COLUMNS"], object))
    reals = Cells(new, "float32")
    s, t = 18, 24  # any two different ones: derive is an unknown function of them
    case.run("dynamic.derive_step", reals, row, s, t, Cells(np.array(gates, object), "float32"), Cells(weights, "float32"))
    one = z3.fpDiv(RNE, f32(1.0), f32(127.0))
    s_Rh = z3.fpMul(RNE, s_r, s_h)
    s_rRh = z3.fpMul(RNE, one, s_Rh)
    wanted = {
        "M_RH_Z": (s_Rh, s_Wx, s),
        "M_RH_R": (s_Rh, s_Wx, s),
        "M_BX": (s_b, s_Wx, t),
        "M_BR_Z": (s_b, s_Wx, t),
        "M_BR_R": (s_b, s_Wx, t),
        "M_BR_G": (s_b, s_Rh, t),
        "M_Z": (s_Wx, gates[0], s),
        "M_R": (s_Wx, gates[1], s),
        "M_G": (s_Wx, gates[2], s),
        "M_RRH": (s_rRh, s_Wx, s),
        "M_GH": (one, s_h, s),
        "M_ONE": (one, f32(1.0), s),
    }
    for name, (a, b, shift) in wanted.items():
        limit = 2**24 - 1 if name == "M_RRH" else 2**31 - 1
        case.goal(f"{name} stands for its scales", row.cells[names[name]] == derived(a, b, shift, limit))
    case.goal("s_Rh is kept", reals.cells[names["SCALE_RH"]] == s_Rh)
    case.goal("s_one * s_Rh is kept", reals.cells[names["SCALE_RRH"]] == s_rRh)


def factor(case: Case) -> None:
    nearest_even = nearest_of(case)
    p = case.real("p")
    case.assume(z3.fpGEQ(p, f32(0.0)), z3.fpLEQ(p, f32(1.0)))
    t = z3.fpMul(RNE, p, f32(32768.0))
    case.equal(["k"], case.run("hidden.zoneout_factor", p), nearest_even(t))
    case.goal("p * 2^15 lies in [0, 2^15]", z3.And(z3.fpGEQ(t, f32(0.0)), z3.fpLEQ(t, f32(32768.0))))
