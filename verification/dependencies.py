"""Which fields of a trace a field is computed from.  Data only; compare uses it to tell a cause from its consequences.

An operand is NAME, at the same step, row and unit; NAME:row, every element of the same row (a dot product); NAME:all, every
element of the step; NAME:z, NAME:r or NAME:g, the gate's block of a [.., 3H] field; h:prev, the state before the step, which
can be joined with row or all (h:prev:row); NAME:last, the value at the step before in processing order.
"""

from __future__ import annotations

from golden.spec.layout import BIAS_MULTIPLIERS, MULTIPLIERS

Operands = dict[str, tuple[str, ...]]


def _mshift_gate(k: str, state: bool) -> Operands:
    moving = state
    return {
        f"{k}_Rh_aligned": (f"Rh:{k}", *((f"m_Rh_{k}",) if moving else ())),
        f"{k}_bx_aligned": (f"bx:{k}", "m_bx") if moving else (),
        f"{k}_br_aligned": (f"br:{k}", f"m_br_{k}") if moving else (),
        f"{k}_acc": (f"Wx:{k}", f"{k}_Rh_aligned", f"{k}_bx_aligned", f"{k}_br_aligned"),
        f"{k}_a": (f"{k}_acc",),
        f"{k}_pre": (f"{k}_a", *((f"m_{k}",) if moving else ())),
        k: (f"{k}_pre",),
    }


def _mshift(moving: bool) -> Operands:
    before = "h_q" if moving else "h:prev"

    def also(*names: str) -> tuple[str, ...]:
        return names if moving else ()

    return {
        "x": also("s_x", "zp_x"),
        "Wx": ("x:row", *also("W:column", "zp_x")),
        "Rh": (f"{before}:row", *also("R:column", "zp_h")),
        **_mshift_gate("z", moving),
        **_mshift_gate("r", moving),
        "g_br_aligned": also("br:g", "m_br_g"),
        "g_b_acc": ("Rh:g", "g_br_aligned"),
        "g_b": ("g_b_acc",),
        "g_rb": ("r", "g_b"),
        "g_c": ("g_rb", *also("m_rRh")),
        "g_bx_aligned": also("bx:g", "m_bx"),
        "g_acc": ("Wx:g", "g_c", "g_bx_aligned"),
        "g_a": ("g_acc",),
        "g_pre": ("g_a", *also("m_g")),
        "g": ("g_pre",),
        "n_acc": ("z", "g"),
        "n": ("n_acc", *also("m_gh")),
        "S": ("z", before, "n", *also("zp_h")),
        "h_new": ("S", *also("m_one", "zp_h")),
        "h_zoneout_acc": (before, "h_new", *also("zp_h")),
        "h": ("h_new", "h_zoneout_acc", before, *also("zp_h")),
        "v": ("z", "r", "g", "h_new"),
    }


_SCALES = {
    **{name: ("s_w", "s_x", "s_r", "s_h") for name in ("m_Rh_z", "m_Rh_r")},
    **{name: ("s_b", "s_w", "s_x") for name in ("m_bx", "m_br_z", "m_br_r")},
    "m_br_g": ("s_b", "s_r", "s_h"),
    **{name: ("s_w", "s_x") for name in ("m_z", "m_r", "m_g")},
    "m_rRh": ("s_w", "s_x", "s_r", "s_h"),
    "m_gh": ("s_h",),
    "m_one": (),
}
assert set(_SCALES) == set(MULTIPLIERS) and set(BIAS_MULTIPLIERS) <= set(_SCALES)

_DYNAMIC: Operands = {
    "s_w": (),
    "s_r": (),
    "W": ("s_w",),
    "R": ("s_r",),
    "s_b": ("s_w",),
    "bx": ("s_b",),
    "br": ("s_b",),
    "x_min": ("x_min:last",),
    "x_max": ("x_max:last",),
    "s_x": ("x_min", "x_max"),
    "zp_x": ("x_min", "x_max", "s_x"),
    "h_min": ("h_min:last", "h:prev:all", "s_h:last", "zp_h:last"),
    "h_max": ("h_max:last", "h:prev:all", "s_h:last", "zp_h:last"),
    "s_h": ("h_min", "h_max"),
    "zp_h": ("h_min", "h_max", "s_h"),
    "m_h": ("s_h:last", "s_h"),
    "h_q": ("h:prev", "zp_h:last", "m_h", "zp_h"),
    **_SCALES,
}


def _pot_gate(k: str) -> Operands:
    return {
        f"{k}_Wx_aligned": (f"Wx:{k}",),
        f"{k}_Rh_aligned": (f"Rh:{k}",),
        f"{k}_bx_aligned": (),
        f"{k}_br_aligned": (),
        f"{k}_acc": (f"{k}_Wx_aligned", f"{k}_Rh_aligned", f"{k}_bx_aligned", f"{k}_br_aligned"),
        f"{k}_pre": (f"{k}_acc",),
        k: (f"{k}_pre",),
    }


_POT: Operands = {
    "x": (),
    "one": (),
    "Wx_acc": ("x:row",),
    "Wx": ("Wx_acc",),
    "Rh_acc": ("h:prev:row",),
    "Rh": ("Rh_acc",),
    **_pot_gate("z"),
    **_pot_gate("r"),
    "A_Rh_aligned": ("Rh:g",),
    "A_br_aligned": (),
    "A_acc": ("A_Rh_aligned", "A_br_aligned"),
    "A": ("A_acc",),
    "P_prod": ("r", "A"),
    "P_acc": ("P_prod",),
    "P": ("P_acc",),
    "g_Wx_aligned": ("Wx:g",),
    "g_P_aligned": ("P",),
    "g_bx_aligned": (),
    "g_acc": ("g_Wx_aligned", "g_P_aligned", "g_bx_aligned"),
    "g_pre": ("g_acc",),
    "g": ("g_pre",),
    "O_prod": ("z", "h:prev"),
    "O_acc": ("O_prod",),
    "O": ("O_acc",),
    "N_prod": ("one", "z", "g"),
    "N_acc": ("N_prod",),
    "N": ("N_acc",),
    "h_O_aligned": ("O",),
    "h_N_aligned": ("N",),
    "h_acc": ("h_O_aligned", "h_N_aligned"),
    "h_new": ("h_acc",),
    "h_zoneout_acc": ("h:prev", "h_new"),
    "h": ("h_new", "h_zoneout_acc", "h:prev"),
    "v": ("z", "r", "g", "A"),
}

DEPENDS: dict[str, Operands] = {
    "mshift": _mshift(False),
    "mshift-dynamic": {**_DYNAMIC, **_mshift(True)},
    "pot": _POT,
}
"""Datapath -> field -> the operands of the field."""
