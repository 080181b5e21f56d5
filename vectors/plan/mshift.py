"""Cases of the gates and the hidden update of datapath M, and of zoneout.  [SPEC GM-1 ... GM-3, Z-1, Z-2]"""

from __future__ import annotations

from functools import partial

import numpy as np

from golden.rescale import S_ONE, derive
from golden.spec.formats import IntFormat
from golden.tables import gate_table
from vectors.draw import Draw
from vectors.plan.planned import BOTH, INT8, INT16, M_ONLY, REGIONS, UINT8, Plan, fmt_constants, region_zero_point, step
from vectors.plan.scaling import accumulators

SETS = {
    # name: (M, s) of Rh (or rRh), of the biases, of pre, about 2**-s * M = 1, 1/8 and 1/900
    "default": ((262144, 18), (2097152, 24), (291, 18)),
    "document": ((32768, 15), (4096, 15), (36, 15)),
    "unequal": ((200003, 18), (16777259, 24), (2331, 21)),
    "wide": ((2**24 - 1, 0), (2**31 - 1, 0), (2**31 - 1, 31)),
    "zero": ((0, 18), (0, 24), (1, 3)),
    "fine": ((12345677, 23), (2**31 - 1, 31), (1234567, 30)),
}


def cases() -> Plan:
    """mshift_gate, mshift_candidate, mshift_hidden, zoneout_blend, zoneout_mask."""
    for name, multipliers in SETS.items():
        for bits, region in [(8, r) for r in REGIONS] + [(16, "inside")]:
            fmt = INT8 if bits == 8 else INT16
            zp = region_zero_point(fmt, region) if bits == 8 else 0
            level = 1 if name in ("default", "document", "wide") or region == "inside" else 2
            for step_name, function in (("mshift_gate", "sigmoid"), ("mshift_candidate", "tanh")):
                constants = _constants(step_name, multipliers, zp, fmt)
                scale = 1 / 16 if bits == 8 else float(np.float32(1 / 16 / 257))
                table = partial(gate_table, function, scale, zp, bits)
                comment = f"Multipliers {name}, {fmt} gate input, its zero point {region}."
                rows = partial(_gate, step_name, constants, 72)
                yield step(step_name, f"{name}-{fmt}-{region}", level, M_ONLY, comment, constants, rows, table)
                more = 2 if level == 1 else 3
                rows = partial(_gate, step_name, constants, 3000)
                yield step(step_name, f"{name}-{fmt}-{region}-{more}", more, M_ONLY, comment, constants, rows, table)
    for bits, fmt, scale in ((8, INT8, 1 / 16), (16, INT16, float(np.float32(1 / 16 / 257)))):
        for step_name, function in (("mshift_gate", "sigmoid"), ("mshift_candidate", "tanh")):
            constants = _constants(step_name, SETS["default"], 0, fmt)
            comment = f"Every entry of the table through the gate, {fmt} gate input."
            rows, table = partial(_every_entry, step_name, constants), partial(gate_table, function, scale, 0, bits)
            yield step(step_name, f"every-{fmt}", 1, M_ONLY, comment, constants, rows, table)
    m_one = derive(S_ONE, 1.0, 18).multiplier
    for part, m_gh, s_gh in (
        ("equal", 262144, 18),
        ("half", 131072, 18),
        ("small", 2064, 18),
        ("large", 2**31 - 1, 20),
        ("document", 32768, 15),
    ):
        for region, zp in (*((r, region_zero_point(INT8, r)) for r in REGIONS), ("far", 2**23)):
            one = (m_one, 18) if part != "document" else (258, 15)
            constants = {"M_gh": m_gh, "s_gh": s_gh, "M_one": one[0], "s_one": one[1], "zp": zp}
            level = 1 if region != "far" or part == "equal" else 2
            comment = f"Candidate multiplier {part}, the zero point of h {region}."
            yield step("mshift_hidden", f"{part}-{region}", level, M_ONLY, comment, constants, partial(_hidden, 96))
            yield step("mshift_hidden", f"{part}-{region}-2", 2, M_ONLY, comment, constants, partial(_hidden, 3000))
    constants = {"M_gh": 2**31 - 1, "s_gh": 18, "M_one": m_one, "s_one": 18, "zp": 3}
    yield step("mshift_hidden", "align", 1, M_ONLY, "A candidate that nearly fills int32.", constants, partial(_hidden, 200))
    yield from _zoneout_cases()


def _constants(name: str, multipliers: tuple[tuple[int, int], ...], zp: int, fmt: IntFormat) -> dict[str, int]:
    (M, s), (M_b, s_b), (M_pre, s_pre) = multipliers
    first = ("Rh", "bx", "br") if name == "mshift_gate" else ("br", "rRh", "bx")
    m = {"Rh": (M, s), "rRh": (M // 127, s) if M < 2**24 - 1 else (M, s), "bx": (M_b, s_b), "br": (M_b, s_b)}
    named = {key: value for k in first for key, value in ((f"M_{k}", m[k][0]), (f"s_{k}", m[k][1]))}
    return {**named, "M_pre": M_pre, "s_pre": s_pre, "zp_pre": zp, **fmt_constants(fmt, "_pre")}


def _gate(name: str, c: dict[str, int], count: int, draw: Draw) -> dict[str, np.ndarray]:
    """Sums of every size: both ends of the gate input, and of the accumulator, are met."""
    bits, M, s = c["bits_pre"], c["M_pre"], c["s_pre"]
    room = min(2**30, ((2**bits) << s) // max(M, 1) + 2)
    third = count // 3
    Wx = np.concatenate(
        [draw.integers(-room, room, third), draw.mixed(48, True, third), draw.mixed(33, True, count - 2 * third)]
    )
    columns = {"Wx": Wx}
    for k in ("Rh", "bx", "br"):
        near = accumulators(draw, c.get(f"M_{k}", 1), c.get(f"s_{k}", 0), 0, None, 12)
        any_size = [draw.mixed(32, True, count - 2 * third), draw.pick(near, third)]
        columns[k] = np.concatenate([draw.integers(-room // 4 - 1, room // 4 + 1, third), *any_size])
    if name == "mshift_candidate":
        columns["r"] = np.concatenate([[0, 127, 1, 126, 64], draw.integers(0, 127, count - 5)])[
            draw.integers(0, count - 1, count)
        ]
        columns["r"][:4] = (0, 127, 127, 127)
        columns["Rh"][:4] = (2**31 - 1, 2**31 - 1, -(2**31), 5)
        ties = accumulators(draw, c["M_rRh"], c["s_rRh"], 0, None, 8)[10:26]  # r * b is the state's product alone
        at = slice(4, 4 + len(ties))
        columns["r"][at], columns["br"][at], columns["Rh"][at] = 1, 0, ties
    return columns


def _every_entry(name: str, c: dict[str, int], draw: Draw) -> dict[str, np.ndarray]:
    """Sums that scale to each 8-bit code, or to a 16-bit code of each entry; the other terms are 0."""
    wanted = np.arange(-128, 128) * (1 if c["bits_pre"] == 8 else 257)
    columns = {"Wx": ((wanted - c["zp_pre"]) << c["s_pre"]) // c["M_pre"]}
    columns |= {k: np.zeros(256, np.int64) for k in ("Rh", "bx", "br")}
    return columns | ({"r": draw.integers(0, 127, 256)} if name == "mshift_candidate" else {})


def _hidden(count: int, draw: Draw) -> dict[str, np.ndarray]:
    z = np.concatenate([[0, 127, 0, 127, 0, 127, 64, 1, 126], draw.integers(0, 127, count)])
    g = np.concatenate([[127, 127, -127, -128, -128, 0, 127, -128, 127], draw.mixed(8, True, count)])
    h = np.concatenate([[127, 127, -128, -128, 127, -128, -128, 127, -128], draw.mixed(8, True, count)])
    return {"z": z, "g": g, "h": h}


def _zoneout_cases() -> Plan:
    for fmt in (INT8, UINT8, INT16):
        for k in (0, 1, 3277, 16384, 32767, 32768):
            for region in REGIONS:
                zp = region_zero_point(fmt, region)
                level = 1 if fmt == INT8 and region in ("inside", "below") or k == 16384 else 2
                comment = f"k = {k} of 32768, {fmt}, the zero point {region}."
                constants = {"k": k, "zp": zp, **fmt_constants(fmt)}
                yield step("zoneout_blend", f"{fmt}-k{k}-{region}", level, BOTH, comment, constants, partial(_blend, fmt, 80))
        comment = f"{fmt}: 1 keeps, 0 takes."
        yield step("zoneout_mask", str(fmt), 1, BOTH, comment, fmt_constants(fmt), partial(_mask, fmt, 80))
        yield step("zoneout_mask", f"{fmt}-2", 2, BOTH, comment, fmt_constants(fmt), partial(_mask, fmt, 3000))


def _blend(fmt: IntFormat, count: int, draw: Draw) -> dict[str, np.ndarray]:
    return {name: draw.mixed(fmt.bits, fmt.signed, count) for name in ("h_prev", "h_new")}


def _mask(fmt: IntFormat, count: int, draw: Draw) -> dict[str, np.ndarray]:
    return {"mask": draw.integers(0, 1, count), **_blend(fmt, count, draw)}
