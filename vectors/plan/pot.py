"""Cases of the gates and the hidden update of datapath P.  [SPEC GP-2 ... GP-8]"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from golden.spec.formats import IntFormat
from golden.spec.params import Operator
from golden.spec.tables import Activation, DirectTable
from golden.tables import pot_table
from vectors.draw import Draw
from vectors.plan.planned import INT8, P_ONLY, REGIONS, Plan, fmt_constants, region_zero_point, step, within

EXPONENTS = {
    # name: exponents of (Wx, Rh, pre, A, r, P, z, g, h, O, N), and the range of those of the biases
    "right": (9, 9, 5, 6, 7, 6, 7, 7, 7, 9, 9, (8, 14)),
    "equal": (5, 5, 5, 5, 7, 5, 7, 7, 7, 7, 7, (5, 6)),
    "left": (3, 2, 5, 6, 7, 8, 7, 6, 7, 5, 6, (0, 7)),
    "coarse": (-15, -12, -3, -9, 1, -2, -1, 0, -15, -12, -13, (-15, -3)),
    "fine": (30, 30, 12, 20, 15, 14, 15, 15, 14, 22, 16, (20, 30)),
}
WIDTHS = ((8, 8), (16, 16), (8, 16), (5, 7))


def cases() -> Plan:
    """pot_gate, pot_reset_path, pot_candidate, pot_hidden."""
    for even in (0, 1):
        rounding = "even" if even else "away"
        for name in EXPONENTS:
            for bits, out_bits in WIDTHS:
                for region in REGIONS:
                    level = (
                        1
                        if bits == 8
                        and out_bits == 8
                        and (region == "inside" or name == "right")
                        or (bits == 16 and out_bits == 16 and name == "left" and region == "inside")
                        else 2
                    )
                    part = f"{rounding}-{name}-{bits}-{out_bits}-{region}"
                    comment = f"ties {rounding}, exponents {name}, {bits} and {out_bits} bits, zero points {region}."
                    yield from _cases(part, level, comment, name, bits, out_bits, region, even)
    for kind, bits, exponent in (
        ("direct", 8, 5),
        ("piecewise_linear", 8, 5),
        ("piecewise_linear", 16, 12),
        ("piecewise_quadratic", 16, 12),
    ):
        yield from _every(kind, bits, exponent)
    for kind in ("direct", "piecewise_quadratic"):
        for even in (0, 1):
            part = f"{'even' if even else 'away'}-{kind.replace('_', '-')}"
            comment = f"The activation is {kind}."
            yield from list(_cases(part, 1, comment, "right", 8, 8, "inside", even, kind))[:2]
            if kind == "piecewise_quadratic":
                yield from list(_cases(f"{part}-16", 1, comment, "fine", 16, 16, "inside", even, kind))[:2]


def _op(constants: dict[str, int], k: str, fmt: IntFormat, exponent: int, region: str) -> None:
    constants |= {**fmt_constants(fmt, f"_{k}"), f"e_{k}": exponent, f"zp_{k}": region_zero_point(fmt, region)}


def _cases(
    part: str,
    level: int,
    comment: str,
    name: str,
    bits: int,
    out_bits: int,
    region: str,
    even: int,
    kind: str = "piecewise_linear",
) -> Plan:
    e_Wx, e_Rh, e_pre, e_A, e_r, e_P, e_z, e_g, e_h, e_O, e_N, biases = EXPONENTS[name]
    if bits < 8:
        e_r, e_z, e_g = min(e_r, out_bits - 1), min(e_z, out_bits - 1), min(e_g, out_bits - 1)
    elif out_bits == 16:
        e_z, e_r, e_g = (e_z if name == "coarse" else 15), (e_r if name == "coarse" else 15), (e_g if name == "coarse" else 14)
    inner, out = IntFormat(bits, True), IntFormat(out_bits, True)
    gate, e_table = IntFormat(out_bits, False), min(e_pre, 12)
    rows = 60 if level == 1 else 300
    more = 150 if level == 1 else 300
    rs = {"ties_even": even}
    for step_name, function in (("pot_gate", "sigmoid"), ("pot_candidate", "tanh")):
        c: dict[str, int] = {}
        _op(c, "Wx", inner, e_Wx, region)
        _op(c, *(("Rh", inner, e_Rh, region) if step_name == "pot_gate" else ("P", inner, e_P, region)))
        _op(c, "pre", INT8 if kind == "direct" else inner, e_table, region)
        fmt_out = gate if step_name == "pot_gate" else out
        pre = Operator(INT8 if kind == "direct" else inner, e_table, c["zp_pre"])
        e_out = e_z if step_name == "pot_gate" else e_g
        table = partial(
            pot_table, function, kind, pre, Operator(fmt_out, e_out, fmt_out.qmin + (3 if region == "inside" else 0))
        )
        constants = {**c, **fmt_constants(fmt_out, "_out"), **rs}
        yield step(
            step_name, part, level, P_ONLY, comment, constants, partial(_gate, step_name, constants, biases, rows), table
        )
    c = {}
    for k, fmt, exponent in (("Rh", inner, e_Rh), ("A", inner, e_A), ("r", gate, e_r), ("P", inner, e_P)):
        _op(c, k, fmt, exponent, region)
    constants = {**c, **rs}
    yield step("pot_reset_path", part, level, P_ONLY, comment, constants, partial(_reset, constants, biases, rows))
    c = {}
    for k, fmt, exponent in (("z", gate, e_z), ("g", out, e_g), ("h", inner, e_h), ("O", inner, e_O), ("N", inner, e_N)):
        _op(c, k, fmt, exponent, region if k != "z" or region != "above" else "inside")
    constants = {**c, **rs}
    yield step("pot_hidden", part, level, P_ONLY, comment, constants, partial(_hidden, constants, more))


def _codes(c: dict[str, int], k: str, count: int, draw: Draw) -> np.ndarray:
    """Codes of an operator: corners, around the zero point, and any."""
    fmt = IntFormat(c[f"bits_{k}"], bool(c[f"signed_{k}"]))
    zp = min(max(c[f"zp_{k}"], fmt.qmin), fmt.qmax)
    near = np.clip(zp + draw.spread(fmt.bits, True, count), fmt.qmin, fmt.qmax)
    return np.where(draw.integers(0, 1, count) == 1, near, draw.mixed(fmt.bits, fmt.signed, count))


def _biases(exponents: tuple[int, int], e_out: int, count: int, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Biases that are as large as a few codes of the sum, or as large as their width allows, and their exponents."""
    e = draw.integers(*exponents, count)
    shift = e - e_out
    any_size = draw.mixed(32, True, count)
    ties = (draw.integers(-40, 40, count) * 2 + 1) << np.clip(shift - 1, 0, 24)
    return np.clip(np.where(draw.integers(0, 2, count) == 0, any_size, ties), -(2**31), 2**31 - 1), e


def _gate(name: str, c: dict[str, int], exponents: tuple[int, int], count: int, draw: Draw) -> dict[str, np.ndarray]:
    second = "Rh" if name == "pot_gate" else "P"
    columns = {"Wx": _codes(c, "Wx", count, draw), second: _codes(c, second, count, draw)}
    for k in ("bx", "br") if name == "pot_gate" else ("bx",):
        columns[k], columns[f"e_{k}"] = _biases(exponents, c["e_pre"], count, draw)
    quiet = draw.integers(0, 3, count) > 0
    for k in ("bx", "br"):
        if k in columns:
            columns[k] = np.where(quiet, np.clip(columns[k], -200, 200), columns[k])
    return columns


def _every(kind: str, bits: int, exponent: int) -> Plan:
    """A gate whose input is its first term: every code of 8 bits, every segment of 16."""
    fmt, gate = IntFormat(bits, True), IntFormat(bits, False)
    for step_name, function, fmt_out in (("pot_gate", "sigmoid", gate), ("pot_candidate", "tanh", fmt)):
        c: dict[str, int] = {}
        for k in ("Wx", "Rh" if step_name == "pot_gate" else "P", "pre"):
            _op(c, k, fmt, exponent, "inside")
        table = partial(pot_table, function, kind, Operator(fmt, exponent, c["zp_pre"]), Operator(fmt_out, bits - 1, 0))
        constants = {**c, **fmt_constants(fmt_out, "_out"), "ties_even": 0}
        comment = f"The whole table, {kind}, {bits} bits."
        part = f"every-{kind.replace('_', '-')}-{bits}"
        yield step(step_name, part, 1, P_ONLY, comment, constants, partial(_first_term, step_name, constants, table), table)


def _first_term(name: str, c: dict[str, int], make: Callable[[], Activation], draw: Draw) -> dict[str, np.ndarray]:
    table = make()
    low, high = table.fmt_in.qmin, table.fmt_in.qmax
    if isinstance(table, DirectTable) or table.fmt_in.bits == 8:
        Wx = np.arange(low, high + 1)
    else:
        Wx = within([low, high, *(t + d for t in table.thresholds.tolist() for d in (-1, 0, 40))], low, high)
    columns = {"Wx": Wx, "Rh" if name == "pot_gate" else "P": np.full(len(Wx), c["zp_Rh" if name == "pot_gate" else "zp_P"])}
    zero = np.zeros(len(Wx), np.int64)
    columns |= {"bx": zero, "e_bx": zero}
    return columns | ({"br": zero, "e_br": zero} if name == "pot_gate" else {})


def _reset(c: dict[str, int], exponents: tuple[int, int], count: int, draw: Draw) -> dict[str, np.ndarray]:
    br, e_br = _biases(exponents, c["e_A"], count, draw)
    r = _codes(c, "r", count, draw)
    return {"Rh": _codes(c, "Rh", count, draw), "br": br, "e_br": e_br, "r": r}


def _hidden(c: dict[str, int], count: int, draw: Draw) -> dict[str, np.ndarray]:
    z = _codes(c, "z", count, draw)
    one = (1 << c["e_z"] if c["e_z"] >= 0 else 0) + c["zp_z"]
    top = (1 << c["bits_z"]) - 1
    z[:3] = np.clip([one, one + 1, c["zp_z"]], 0, top)
    return {"z": z, "g": _codes(c, "g", count, draw), "h": _codes(c, "h", count, draw)}
