"""The steps that a run is made of: the trace of a sequence taken apart into the columns of vectors.steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.hidden import zoneout_factor
from golden.spec.layout import GATES
from golden.spec.params import MShift
from golden.spec.rounding import Rounding
from golden.spec.tables import Activation
from vectors.case import Case
from vectors.step_case import StepCase


@dataclass(frozen=True, eq=False)
class Stage:
    """Rows of one step: its name, constants, table, and int64 columns [rows] (or [rows, K])."""

    step: str
    constants: Mapping[str, int]
    table: Activation | None
    columns: Mapping[str, np.ndarray]


def stages(case: Any) -> Iterator[Stage]:
    """The stages of a step case (itself) or of a sequence, in computation order.

    The products of L-1 and, in datapath P, their scaling (GP-1) are no stages: see vectors.flags.
    """
    if isinstance(case, StepCase):
        yield Stage(case.step, case.constants, case.table, {**case.inputs, **case.outputs})
    elif isinstance(case, Case) and case.x.size:
        yield from {"mshift": _mshift, "mshift-dynamic": _dynamic, "pot": _pot}[case.params.datapath](case)


def previous(case: Case) -> np.ndarray:
    """The state that each step starts from, [T,N,H]."""
    if "h_q" in case.trace:
        return case.trace["h_q"]
    h = case.trace["h"]
    return np.concatenate([h[2:], h[:1]]) if case.reverse else h[:-1]


def _block(trace: Any, name: str, gate: int) -> np.ndarray:
    """The columns of one gate of a [T,N,3H] field."""
    return np.split(np.asarray(trace[name], np.int64), 3, axis=-1)[gate]


def _stage(step: str, constants: Mapping[str, int], table: Activation | None, shape: Any, **columns: Any) -> Stage:
    flat = {name: np.broadcast_to(np.asarray(v, np.int64), shape).reshape(-1) for name, v in columns.items()}
    return Stage(step, {name: int(value) for name, value in constants.items()}, table, flat)


def _m(suffix: str, m: MShift) -> dict[str, int]:
    return {f"M_{suffix}": m.multiplier, f"s_{suffix}": m.shift}


def _mshift(case: Case) -> Iterator[Stage]:
    p: Any = case.params
    multipliers = {name: getattr(p, name) for name in _NAMES}
    yield from _mshift_stages(case, slice(None), multipliers, p.zp_h, p.bx, p.br)


_NAMES = ("m_Rh_z", "m_Rh_r", "m_bx", "m_br_z", "m_br_r", "m_br_g", "m_z", "m_r", "m_g", "m_rRh", "m_gh", "m_one")
_BIAS = ("m_bx", "m_br_z", "m_br_r", "m_br_g")


def _dynamic(case: Case) -> Iterator[Stage]:
    p: Any = case.params
    for t in range(len(case.x)):
        m = {n: MShift(int(case.trace[n][t]), p.shift_bias if n in _BIAS else p.shift) for n in _NAMES}
        at, bx, br = slice(t, t + 1), case.trace["bx"], case.trace["br"]
        yield from _mshift_stages(case, at, m, int(case.trace["zp_h"][t]), bx, br)


def _mshift_stages(case: Case, at: slice, m: Mapping[str, MShift], zp_h: int, bx: Any, br: Any) -> Iterator[Stage]:
    p: Any = case.params
    trace = {name: array[at] for name, array in case.trace.items() if array.ndim and name not in ("h", "W", "R", "bx", "br")}
    shape = trace["z"].shape
    fmt = {"bits_pre": p.fmt_pre.bits, "signed_pre": 1}
    biases = [np.split(np.asarray(v, np.int64), 3) for v in (bx, br)]

    def term(name: str) -> np.ndarray:
        return trace[name][:, None, :]

    for gate, k in enumerate(GATES):
        common = {
            "Wx": _block(trace, "Wx", gate),
            "Rh": _block(trace, "Rh", gate),
            "bx": biases[0][gate],
            "br": biases[1][gate],
        }
        tail = {name: trace[f"{k}_{name}"] for name in ("acc", "a", "pre")} | {"gate": trace[k]}
        tail |= {"bx_aligned": term(f"{k}_bx_aligned"), "br_aligned": term(f"{k}_br_aligned")}
        zp = {"zp_pre": getattr(p, f"zp_{k}"), **fmt}
        table = getattr(p, f"table_{k}")
        if k != "g":
            c = {**_m("Rh", m[f"m_Rh_{k}"]), **_m("bx", m["m_bx"]), **_m("br", m[f"m_br_{k}"]), **_m("pre", m[f"m_{k}"]), **zp}
            yield _stage("mshift_gate", c, table, shape, **common, Rh_aligned=trace[f"{k}_Rh_aligned"], **tail)
        else:
            c = {**_m("br", m["m_br_g"]), **_m("rRh", m["m_rRh"]), **_m("bx", m["m_bx"]), **_m("pre", m["m_g"]), **zp}
            more = {"r": trace["r"], "b_acc": trace["g_b_acc"], "b": trace["g_b"], "rb": trace["g_rb"], "c": trace["g_c"]}
            yield _stage("mshift_candidate", c, table, shape, **common, **more, **tail)
    c = {**_m("gh", m["m_gh"]), **_m("one", m["m_one"]), "zp": zp_h}
    more = {name: trace[name] for name in ("z", "g", "n_acc", "n", "S", "h_new")}
    yield _stage("mshift_hidden", c, None, shape, **more, h=previous(case)[at])
    yield from _zoneout(case, at, shape, zp_h)


def _op(p: Any, suffix: str, name: str) -> dict[str, int]:
    op = p.operators[name]
    return {
        f"bits_{suffix}": op.fmt.bits,
        f"signed_{suffix}": int(op.fmt.signed),
        f"e_{suffix}": op.exponent,
        f"zp_{suffix}": op.zero_point,
    }


def _pot(case: Case) -> Iterator[Stage]:
    p: Any = case.params
    trace, shape, ops = case.trace, case.trace["z"].shape, p.operators
    rs = {"ties_even": int(p.rounding is Rounding.TIES_EVEN)}
    per_channel = {
        n: np.split(np.asarray(v, np.int64), 3)
        for n, v in (("bx", p.bx), ("br", p.br), ("e_bx", ops["weight.bx"].exponent), ("e_br", ops["weight.br"].exponent))
    }

    def term(name: str) -> np.ndarray:
        return trace[name][:, None, :]

    def out(k: str) -> dict[str, int]:
        fmt = ops[f"gate.{k}_out"].fmt
        return {"bits_out": fmt.bits, "signed_out": int(fmt.signed)}

    for gate, k in enumerate("zr"):
        c = {**_op(p, "Wx", "matmul.Wx"), **_op(p, "Rh", "matmul.Rh"), **_op(p, "pre", f"gate.{k}_pre"), **out(k), **rs}
        aligned = {n: trace[f"{k}_{n}"] for n in ("Wx_aligned", "Rh_aligned")} | {
            n: term(f"{k}_{n}") for n in ("bx_aligned", "br_aligned")
        }
        yield _stage(
            "pot_gate",
            c,
            getattr(p, f"act_{k}"),
            shape,
            Wx=_block(trace, "Wx", gate),
            Rh=_block(trace, "Rh", gate),
            **{n: v[gate] for n, v in per_channel.items()},
            **aligned,
            acc=trace[f"{k}_acc"],
            pre=trace[f"{k}_pre"],
            gate=trace[k],
        )
    c = {**_op(p, "Rh", "matmul.Rh"), **_op(p, "A", "op.Rh_add_br"), **_op(p, "r", "gate.r_out"), **_op(p, "P", "op.rRh"), **rs}
    names = ("A_Rh_aligned", "A_acc", "A", "P_prod", "P_acc", "P")
    yield _stage(
        "pot_reset_path",
        c,
        None,
        shape,
        Rh=_block(trace, "Rh", 2),
        br=per_channel["br"][2],
        e_br=per_channel["e_br"][2],
        r=trace["r"],
        A_br_aligned=term("A_br_aligned"),
        **{n: trace[n] for n in names},
    )
    c = {**_op(p, "Wx", "matmul.Wx"), **_op(p, "P", "op.rRh"), **_op(p, "pre", "gate.g_pre"), **out("g"), **rs}
    yield _stage(
        "pot_candidate",
        c,
        p.act_g,
        shape,
        Wx=_block(trace, "Wx", 2),
        P=trace["P"],
        bx=per_channel["bx"][2],
        e_bx=per_channel["e_bx"][2],
        Wx_aligned=trace["g_Wx_aligned"],
        P_aligned=trace["g_P_aligned"],
        bx_aligned=term("g_bx_aligned"),
        acc=trace["g_acc"],
        pre=trace["g_pre"],
        gate=trace["g"],
    )
    c = {
        **_op(p, "z", "gate.z_out"),
        **_op(p, "g", "gate.g_out"),
        **_op(p, "h", "input.h"),
        **_op(p, "O", "op.old_contrib"),
        **_op(p, "N", "op.new_contrib"),
        **rs,
    }
    hidden = ("O_prod", "O_acc", "O", "N_prod", "N_acc", "N", "h_O_aligned", "h_N_aligned", "h_acc", "h_new")
    yield _stage(
        "pot_hidden",
        c,
        None,
        shape,
        z=trace["z"],
        g=trace["g"],
        h=previous(case),
        one=trace["one"],
        **{n: trace[n] for n in hidden},
    )
    yield from _zoneout(case, slice(None), shape, ops["input.h"].zero_point)


def _zoneout(case: Case, at: slice, shape: Any, zp_h: int) -> Iterator[Stage]:
    fmt = {"bits": case.params.fmt_h.bits, "signed": int(case.params.fmt_h.signed)}
    h = case.trace["h"][1:][at]
    if case.mask is not None:
        columns = {"mask": case.mask[at], "h_prev": previous(case)[at], "h_new": case.trace["h_new"][at], "h": h}
        yield _stage("zoneout_mask", fmt, None, shape, **columns)
    elif "h_zoneout_acc" in case.trace:
        columns = {
            "h_prev": previous(case)[at],
            "h_new": case.trace["h_new"][at],
            "acc": case.trace["h_zoneout_acc"][at],
            "h": h,
        }
        yield _stage("zoneout_blend", {"k": zoneout_factor(case.zoneout), "zp": zp_h, **fmt}, None, shape, **columns)
