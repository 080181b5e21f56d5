"""Names and orders: gates, axes, operators and the fields of a trace.  Data only."""

from __future__ import annotations

from typing import NamedTuple

GATES = ("z", "r", "g")  # update, reset, candidate; blocks of H columns in W, R, bx, br
PYTORCH_GATES = ("r", "z", "n")  # the same three as PyTorch orders them

OPERATORS = (
    "input.x",
    "input.h",
    "weight.W",
    "weight.R",
    "weight.bx",
    "weight.br",
    "matmul.Wx",
    "matmul.Rh",
    "gate.z_pre",
    "gate.z_out",
    "gate.r_pre",
    "gate.r_out",
    "gate.g_pre",
    "gate.g_out",
    "op.Rh_add_br",
    "op.rRh",
    "op.old_contrib",
    "op.new_contrib",
)
WEIGHT_OPERATORS = ("weight.W", "weight.R", "weight.bx", "weight.br")
UNSIGNED_OPERATORS = ("gate.z_out", "gate.r_out")
SCALAR_OPERATORS = tuple(name for name in OPERATORS if name not in WEIGHT_OPERATORS)

MULTIPLIERS = (
    "m_Rh_z",
    "m_Rh_r",
    "m_bx",
    "m_br_z",
    "m_br_r",
    "m_br_g",
    "m_z",
    "m_r",
    "m_g",
    "m_rRh",
    "m_gh",
    "m_one",
)
BIAS_MULTIPLIERS = ("m_bx", "m_br_z", "m_br_r", "m_br_g")  # these use the shift s_b, the others s


class TraceField(NamedTuple):
    """One named intermediate of a run.

    name    key in the trace
    axes    letters of its shape: T steps, S = T + 1 states, N batch, C input, H units, G = 3H, V = 4H; "" is a scalar
    dtype   NumPy dtype of the array
    clause  the clause that defines it
    """

    name: str
    axes: str
    dtype: str
    clause: str


def _mshift_gate(k: str) -> tuple[TraceField, ...]:
    return (
        TraceField(f"{k}_Rh_aligned", "TNH", "int32", "GM-1"),
        TraceField(f"{k}_bx_aligned", "TH", "int32", "GM-1"),
        TraceField(f"{k}_br_aligned", "TH", "int32", "GM-1"),
        TraceField(f"{k}_acc", "TNH", "int64", "GM-1"),  # the exact sum, before saturation to int32
        TraceField(f"{k}_a", "TNH", "int32", "GM-1"),
        TraceField(f"{k}_pre", "TNH", "int32", "GM-1"),
        TraceField(k, "TNH", "int32", "GM-1"),
    )


MSHIFT_FIELDS: tuple[TraceField, ...] = (
    TraceField("x", "TNC", "int32", "Q-1"),
    TraceField("Wx", "TNG", "int64", "L-1"),
    TraceField("Rh", "TNG", "int64", "L-1"),
    *_mshift_gate("z"),
    *_mshift_gate("r"),
    TraceField("g_br_aligned", "TH", "int32", "GM-2"),
    TraceField("g_b_acc", "TNH", "int64", "GM-2"),  # Rh_g + br_g aligned, before saturation
    TraceField("g_b", "TNH", "int32", "GM-2"),
    TraceField("g_rb", "TNH", "int64", "GM-2"),  # r * b, before M and the shift
    TraceField("g_c", "TNH", "int32", "GM-2"),
    TraceField("g_bx_aligned", "TH", "int32", "GM-2"),
    TraceField("g_acc", "TNH", "int64", "GM-2"),
    TraceField("g_a", "TNH", "int32", "GM-2"),
    TraceField("g_pre", "TNH", "int32", "GM-2"),
    TraceField("g", "TNH", "int32", "GM-2"),
    TraceField("n_acc", "TNH", "int32", "GM-3"),  # (127 - z) * g
    TraceField("n", "TNH", "int32", "GM-3"),
    TraceField("S", "TNH", "int64", "GM-3"),
    TraceField("h_new", "TNH", "int32", "GM-3"),  # h' before zoneout
    TraceField("h_zoneout_acc", "TNH", "int64", "Z-2"),  # only with an inference zoneout
    TraceField("h", "SNH", "int32", "S-1"),
    TraceField("v", "TNV", "int32", "GM-4"),  # only when training
)

# The trajectory D-4 and the requantized state, in front of the fields above in dynamic mode.
DYNAMIC_FIELDS: tuple[TraceField, ...] = (
    TraceField("s_w", "", "float32", "E-3"),
    TraceField("s_r", "", "float32", "E-3"),
    TraceField("W", "CG", "int32", "Q-1"),
    TraceField("R", "HG", "int32", "Q-1"),
    TraceField("s_b", "", "float32", "D"),
    TraceField("bx", "G", "int32", "Q-4"),
    TraceField("br", "G", "int32", "Q-4"),
    TraceField("x_min", "T", "float32", "D-1"),
    TraceField("x_max", "T", "float32", "D-1"),
    TraceField("s_x", "T", "float32", "D-1"),
    TraceField("zp_x", "T", "int32", "D-1"),
    TraceField("h_min", "T", "float32", "D-2"),
    TraceField("h_max", "T", "float32", "D-2"),
    TraceField("s_h", "T", "float32", "D-2"),
    TraceField("zp_h", "T", "int32", "D-2"),
    TraceField("m_h", "T", "int32", "D-2"),  # derive(s_old, s_h); 0 at the first step, where h is taken as it is
    TraceField("h_q", "TNH", "int32", "D-2"),
    *(TraceField(name, "T", "int32", "D-3") for name in MULTIPLIERS),
)


def _pot_gate(k: str) -> tuple[TraceField, ...]:
    return (
        TraceField(f"{k}_Wx_aligned", "TNH", "int64", "GP-2"),
        TraceField(f"{k}_Rh_aligned", "TNH", "int64", "GP-2"),
        TraceField(f"{k}_bx_aligned", "TH", "int64", "GP-2"),
        TraceField(f"{k}_br_aligned", "TH", "int64", "GP-2"),
        TraceField(f"{k}_acc", "TNH", "int64", "GP-2"),
        TraceField(f"{k}_pre", "TNH", "int32", "GP-2"),
        TraceField(k, "TNH", "int32", "GP-2"),
    )


POT_FIELDS: tuple[TraceField, ...] = (
    TraceField("x", "TNC", "int32", "Q-1"),
    TraceField("one", "", "int64", "GP-6"),
    TraceField("Wx_acc", "TNG", "int64", "L-1"),
    TraceField("Wx", "TNG", "int32", "GP-1"),
    TraceField("Rh_acc", "TNG", "int64", "L-1"),
    TraceField("Rh", "TNG", "int32", "GP-1"),
    *_pot_gate("z"),
    *_pot_gate("r"),
    TraceField("A_Rh_aligned", "TNH", "int64", "GP-3"),
    TraceField("A_br_aligned", "TH", "int64", "GP-3"),
    TraceField("A_acc", "TNH", "int64", "GP-3"),
    TraceField("A", "TNH", "int32", "GP-3"),
    TraceField("P_prod", "TNH", "int64", "GP-4"),
    TraceField("P_acc", "TNH", "int64", "GP-4"),
    TraceField("P", "TNH", "int32", "GP-4"),
    TraceField("g_Wx_aligned", "TNH", "int64", "GP-5"),
    TraceField("g_P_aligned", "TNH", "int64", "GP-5"),
    TraceField("g_bx_aligned", "TH", "int64", "GP-5"),
    TraceField("g_acc", "TNH", "int64", "GP-5"),
    TraceField("g_pre", "TNH", "int32", "GP-5"),
    TraceField("g", "TNH", "int32", "GP-5"),
    TraceField("O_prod", "TNH", "int64", "GP-7"),
    TraceField("O_acc", "TNH", "int64", "GP-7"),
    TraceField("O", "TNH", "int32", "GP-7"),
    TraceField("N_prod", "TNH", "int64", "GP-7"),
    TraceField("N_acc", "TNH", "int64", "GP-7"),
    TraceField("N", "TNH", "int32", "GP-7"),
    TraceField("h_O_aligned", "TNH", "int64", "GP-8"),
    TraceField("h_N_aligned", "TNH", "int64", "GP-8"),
    TraceField("h_acc", "TNH", "int64", "GP-8"),
    TraceField("h_new", "TNH", "int32", "GP-8"),  # h' before zoneout
    TraceField("h_zoneout_acc", "TNH", "int64", "Z-2"),
    TraceField("h", "SNH", "int32", "S-1"),
    TraceField("v", "TNV", "int32", "GP-9"),
)

FIELDS: dict[str, tuple[TraceField, ...]] = {
    "mshift": MSHIFT_FIELDS,
    "mshift-dynamic": DYNAMIC_FIELDS + MSHIFT_FIELDS,
    "pot": POT_FIELDS,
}
"""The fields of each datapath, in the order in which they are computed."""

# Which trace field a configuration operator is seen in (datapath P).
OPERATOR_FIELDS: dict[str, str] = {
    "input.x": "x",
    "input.h": "h",
    "matmul.Wx": "Wx",
    "matmul.Rh": "Rh",
    "gate.z_pre": "z_pre",
    "gate.z_out": "z",
    "gate.r_pre": "r_pre",
    "gate.r_out": "r",
    "gate.g_pre": "g_pre",
    "gate.g_out": "g",
    "op.Rh_add_br": "A",
    "op.rRh": "P",
    "op.old_contrib": "O",
    "op.new_contrib": "N",
}


def trace_fields(datapath: str, *, training: bool, zoneout: bool) -> tuple[TraceField, ...]:
    """The fields that a run of this kind has, in computation order.

    datapath  "mshift", "mshift-dynamic" or "pot"
    training  whether v is kept
    zoneout   whether an inference zoneout with p > 0 is applied (Z-2)
    """
    return tuple(
        f
        for f in FIELDS[datapath]
        if (f.name != "v" or training) and (f.name != "h_zoneout_acc" or zoneout)
    )


def field_shape(axes: str, *, steps: int, batch: int, inputs: int, hidden: int) -> tuple[int, ...]:
    """The shape of a field whose axes are the given letters."""
    sizes = {"T": steps, "S": steps + 1, "N": batch, "C": inputs, "H": hidden, "G": 3 * hidden, "V": 4 * hidden}
    return tuple(sizes[letter] for letter in axes)
