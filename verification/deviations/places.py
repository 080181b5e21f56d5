"""Where a step stands: the stages that shift, saturate, add or take off a zero point, by a short name and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from verification.deviations.deviation import DATAPATHS, Deviation

Fields = dict[str, tuple[str, ...]]


class Place(NamedTuple):
    """Stages that share a step.

    name     after the "@" of a deviation; "" is everywhere
    subject  in words
    fields   datapath -> trace fields
    """

    name: str
    subject: str
    fields: Fields


def fields(mshift: tuple[str, ...] = (), pot: tuple[str, ...] = (), dynamic: tuple[str, ...] = ()) -> Fields:
    """The fields of each datapath; those of M are also those of its moving ranges, which can have more."""
    return {"mshift": mshift, "mshift-dynamic": (*mshift, *dynamic), "pot": pot}


def join(places: list[Place], name: str, subject: str) -> Place:
    """All of some places together."""
    return Place(name, subject, {d: tuple(f for p in places for f in p.fields.get(d, ())) for d in DATAPATHS})


def spread(
    base: str,
    family: str,
    clauses: tuple[str, ...],
    verb: str,
    changes: Mapping[str, Any],
    places: list[Place],
    only: tuple[str, ...] = DATAPATHS,
) -> list[Deviation]:
    """One deviation for each place: "base@place", "<subject> <verb>"."""
    out = []
    for place in places:
        at = {d: f for d, f in place.fields.items() if f and d in only}
        if at:
            name = f"{base}@{place.name}" if place.name else base
            out.append(Deviation(name, base, family, clauses, f"{place.subject} {verb}", changes, at))
    return out


def single(
    name: str, family: str, clauses: tuple[str, ...], words: str, changes: Mapping[str, Any], at: Mapping[str, tuple[str, ...]]
) -> list[Deviation]:
    """A deviation with one place."""
    return [Deviation(name, name, family, clauses, words, changes, {d: f for d, f in at.items() if f})]


# --- shifts: alignments and requantizes

_TERMS = {"Rh": "Rh", "bx": "bx", "br": "br", "Wx": "Wx"}
ALIGN: list[Place] = [
    *(
        Place(f"align-{k}-{t}", f"the alignment of {t} in the {k} gate", fields((f"{k}_{t}_aligned",), (f"{k}_{t}_aligned",)))
        for k in "zr"
        for t in ("Rh", "bx", "br")
    ),
    *(Place(f"align-{k}-Wx", f"the alignment of Wx in the {k} gate", fields((), (f"{k}_Wx_aligned",))) for k in "zrg"),
    Place("align-g-bx", "the alignment of bx in the g gate", fields(("g_bx_aligned",), ("g_bx_aligned",))),
    Place("align-g-br", "the alignment of br in the g gate", fields(("g_br_aligned",), ("A_br_aligned",))),
    Place("align-g-Rh", "the alignment of Rh in the g gate", fields((), ("A_Rh_aligned",))),
    Place("align-g-rRh", "the alignment of the reset product in the g gate", fields(("g_c",), ("g_P_aligned",))),
    Place("align-new", "the alignment of (1 - z)*g in the new state", fields(("n",), ("h_N_aligned",))),
    Place("align-old", "the alignment of z*h in the new state", fields((), ("h_O_aligned",))),
]
REQUANTIZE: list[Place] = [
    *(Place(f"requantize-{k}", f"the requantize of the {k} gate", fields((f"{k}_pre",))) for k in "zrg"),
    Place("requantize-h", "the requantize of the new state", fields(("h_new",))),
    Place("requantize-moved-h", "the requantize of the state into its new range", fields(dynamic=("h_q",))),
    Place("requantize-Wx", "the requantize of W*x", fields((), ("Wx",))),
    Place("requantize-Rh", "the requantize of R*h", fields((), ("Rh",))),
    Place("requantize-rRh", "the requantize of the reset product", fields((), ("P_acc",))),
    Place("requantize-old", "the requantize of z*h", fields((), ("O_acc",))),
    Place("requantize-new", "the requantize of (1 - z)*g", fields((), ("N_acc",))),
]
ZONEOUT = Place("zoneout", "the blend of the zoneout", fields(("h",), ("h",)))
SHIFT: list[Place] = [
    join([*ALIGN, *REQUANTIZE], "", "every shift"),
    join(ALIGN, "align", "every alignment"),
    join(REQUANTIZE, "requantize", "every requantize"),
    *(
        join([p for p in ALIGN if p.name.startswith(f"align-{k}-")], f"align-{k}", f"every alignment in the {k} gate")
        for k in "zrg"
    ),
    *ALIGN,
    *REQUANTIZE,
]
MULTIPLY: list[Place] = [
    Place(p.name, p.subject, {d: f for d, f in p.fields.items() if d != "pot"})
    for p in SHIFT
    if p.fields["mshift"] or p.fields["mshift-dynamic"]
]

# --- where a zero point is added

ADD_ZERO: list[Place] = [
    *(Place(f"{k}-pre", f"the input of the {k} gate", fields((f"{k}_pre",), (f"{k}_acc",))) for k in "zrg"),
    Place("h", "the new state", fields(("h_new",), ("h_acc",))),
    Place("moved-h", "the state in its new range", fields(dynamic=("h_q",))),
    Place("Wx", "W*x", fields((), ("Wx",))),
    Place("Rh", "R*h", fields((), ("Rh",))),
    Place("A", "Rh + br", fields((), ("A_acc",))),
    Place("rRh", "the reset product", fields((), ("P_acc",))),
    Place("old", "z*h", fields((), ("O_acc",))),
    Place("new", "(1 - z)*g", fields((), ("N_acc",))),
    ZONEOUT,
]

# --- where a result is brought into its format

SATURATE: list[Place] = [
    *(Place(f"{k}-pre", f"the input of the {k} gate", fields((f"{k}_pre",), (f"{k}_pre",))) for k in "zrg"),
    *(Place(f"{k}-acc", f"the accumulator of the {k} gate", fields((f"{k}_a",))) for k in "zrg"),
    Place("g-b", "Rh + br", fields(("g_b",), ("A",))),
    Place("rRh", "the reset product", fields(("g_c",), ("P",))),
    Place("h", "the new state", fields(("h_new",), ("h_new",))),
    Place("moved-h", "the state in its new range", fields(dynamic=("h_q",))),
    Place("Wx", "W*x", fields((), ("Wx",))),
    Place("Rh", "R*h", fields((), ("Rh",))),
    Place("old", "z*h", fields((), ("O",))),
    Place("new", "(1 - z)*g", fields((), ("N",))),
    *(Place(f"{k}-out", f"the activation of the {k} gate", fields((), (k,))) for k in "zrg"),
    Place(
        "aligned",
        "every aligned term",
        fields(tuple(f"{k}_{t}_aligned" for k in "zr" for t in ("Rh", "bx", "br")) + ("g_br_aligned", "g_bx_aligned")),
    ),
    Place("x", "the quantized input", fields(dynamic=("x",))),
    Place("weights", "the quantized weights", fields(dynamic=("W", "R"))),
    ZONEOUT,
]
EVERY_SATURATE = join(SATURATE, "", "every result")
LEAVES: list[Place] = [p for p in SATURATE if p.name not in ("weights", "zoneout")]  # where a result can leave its format
SIGNED: list[Place] = [p for p in SATURATE if p.name not in ("weights", "z-out", "r-out")]
GATES: list[Place] = [
    Place("", "every gate", fields(("z", "r", "g"), ("z", "r", "g"))),
    *(Place(k, f"the {k} gate", fields((k,), (k,))) for k in "zrg"),
]
