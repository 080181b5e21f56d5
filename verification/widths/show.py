"""The widths of a parameter set as a table of text, as JSON, and as a header for SystemVerilog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from golden.spec.layout import GATES
from verification.widths.least import bits_of
from verification.widths.register import Register
from verification.widths.search import Reached

HEADER = ("register", "clause", "bits", "unsigned", "proof", "least", "greatest", "any order", "channels", "one bit less")
LEFT = 2
WORD = 8  # bits of an entry of a channel table in the header


def channel_text(register: Register) -> str:
    """The widths of the channels, least and greatest where they differ."""
    least, greatest = int(register.channel_bits.min()), int(register.channel_bits.max())
    return str(least) if least == greatest else f"{least}..{greatest}"


def seen_text(register: Register) -> str:
    """What a bit less changes."""
    if register.ends == (0, 0):
        return "always 0"
    return {"h": "changes h", "": "not seen"}.get(register.seen, f"changes {register.seen}")


def rows(registers: Sequence[Register]) -> list[tuple[str, ...]]:
    """A row of text for each register, for HEADER."""
    out: list[tuple[str, ...]] = []
    for r in registers:
        bits = str(r.bound_bits) if r.verdict != "open" else f"{r.bits}..{r.bound_bits}"
        order = "" if r.order is None else str(bits_of(*r.order))
        unsigned = "" if r.unsigned is None else str(r.unsigned)
        ends = str(r.ends[0]), str(r.ends[1])
        out.append((r.name, r.clause, bits, unsigned, r.verdict, *ends, order, channel_text(r), seen_text(r)))
    return out


def plain(register: Register) -> dict[str, Any]:
    """A register as JSON-ready numbers, its inputs included."""
    r = register
    return {
        "register": r.name,
        "clause": r.clause,
        "bits": r.bound_bits,
        "bits_attained": r.bits,
        "unsigned_bits": r.unsigned,
        "proof": r.verdict,
        "attained": list(r.ends),
        "bound": list(r.bound),
        "any_order": None if r.order is None else {"ends": list(r.order), "bits": bits_of(*r.order)},
        "channel_bits": r.channel_bits.tolist(),
        "channels_attained": r.channels_attained,
        "least": _input(r, 0),
        "greatest": _input(r, 1),
        "one_bit_less": {"changes": r.seen or None, "input": None if r.shown is None else _reached(r.shown)},
    }


def _input(r: Register, side: int) -> dict[str, Any]:
    pair = sorted((r.witness, r.other), key=lambda reached: reached.value)
    return _reached(pair[side])


def _reached(reached: Reached) -> dict[str, Any]:
    return {
        "value": reached.value,
        "unit": reached.unit,
        "gate": reached.gate or None,
        "x": reached.x.tolist(),
        "h": reached.h.tolist(),
    }


def svh(sets: Sequence[tuple[str, Any, Sequence[Register]]], version: str) -> str:
    """A header with the widths of every set as localparams; with several sets the names carry the label of theirs.

    QGRU_W_<STAGE>            bits of the register, two's complement, enough for every channel
    QGRU_U_<STAGE>            bits without a sign, where nothing is negative
    QGRU_W_<STAGE>_ORDER      bits of an accumulator that takes its terms in any order
    QGRU_W_<STAGE>_Z, _R, _G  bits for the channels of one gate
    QGRU_W_<STAGE>_CHANNELS   bits of each channel, 8 bits an entry, channel 0 in the least significant ones
    """
    out = [f"// Widths of registers, by qgru {version}. Two's complement; QGRU_U is without a sign.", "`ifndef QGRU_WIDTHS_SVH"]
    out.append("`define QGRU_WIDTHS_SVH")
    for label, params, registers in sets:
        prefix = "QGRU_W_" if len(sets) == 1 else f"QGRU_W_{_name(label)}_"
        out += ["", f"// {label}: {params.datapath}, {params.input_size} inputs, {params.hidden_size} units"]
        for r in registers:
            out += _lines(r, prefix)
    return "\n".join([*out, "`endif", ""])


def _name(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).upper()


def _lines(r: Register, prefix: str) -> list[str]:
    name = prefix + _name(r.name)
    comment = f"[{r.bound[0]}, {r.bound[1]}], {r.verdict}"
    out = [f"localparam int {name} = {r.bound_bits};  // {comment}" + (f", {r.bits} attained" if r.verdict == "open" else "")]
    if r.unsigned is not None:
        out.append(f"localparam int {name.replace('QGRU_W_', 'QGRU_U_', 1)} = {r.unsigned};")
    if r.order is not None and bits_of(*r.order) != r.bound_bits:
        out.append(f"localparam int {name}_ORDER = {bits_of(*r.order)};")
    if r.channel_bits.min() == r.channel_bits.max():
        return out
    if r.witness.gate:
        for k, part in zip(GATES, np.split(r.channel_bits, 3), strict=True):
            out.append(f"localparam int {name}_{k.upper()} = {int(part.max())};")
    digits = "".join(f"{int(b):02x}" for b in r.channel_bits[::-1])
    width = WORD * len(r.channel_bits)
    return [*out, f"localparam logic [{width - 1}:0] {name}_CHANNELS = {width}'h{digits};"]
