"""Long chains: a million steps fed back into themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

from vectors.chain import INPUTS
from vectors.chain_case import ChainCase, chain_case
from vectors.draw import Draw
from vectors.plan import sets
from vectors.plan.planned import BOTH, DYNAMIC, M_ONLY, P_ONLY, STATIC_M, Plan, Planned

STEPS, EVERY = 1_000_000, 10_000
REQUANTIZE = {
    "int8": {"M": 1234567, "s": 28, "zp": 3, "bits": 8, "signed": 1},
    "uint16": {"M": 2**31 - 1, "s": 31, "zp": 30000, "bits": 16, "signed": 0},
    "int8-left": {"M": 77, "s": 0, "zp": -200, "bits": 8, "signed": 1},
}


def cases() -> Plan:
    """Chains of the roundings, of requantize, of the moving range and of a cell of each static datapath."""
    for name, datapaths in (("ties_up", M_ONLY), ("ties_away", P_ONLY), ("ties_even", P_ONLY)):
        yield _chain(name.replace("_", "-"), datapaths, partial(_scalar, name, {}))
    for part, constants in REQUANTIZE.items():
        yield _chain(f"requantize-{part}", M_ONLY if part != "int8" else BOTH, partial(_scalar, "requantize", constants))
    yield _chain("ema", DYNAMIC, _ema)
    yield _chain("mshift-cell", STATIC_M, partial(_cell, "mshift_cell", sets.mshift))
    yield _chain("pot-cell", P_ONLY, partial(_cell, "pot_cell", sets.pot))


def _chain(part: str, datapaths: tuple[str, ...], make: Any) -> Planned:
    id = f"chain-{part}"
    return Planned(id, 1, datapaths, partial(make, id))


def _texts(what: str) -> dict[str, Any]:
    return {"comment": f"{STEPS} steps of {what}, a digest every {EVERY}.", "level": 1}


def _scalar(name: str, constants: dict[str, int], id: str, draw: Draw) -> ChainCase:
    start = [int(draw.words(1).astype("i8")[0])]
    return chain_case(id, name, constants, STEPS, EVERY, start, **_texts(name))


def _ema(id: str, draw: Draw) -> ChainCase:
    start = [0xBF800000, 0x3F800000, int(draw.words(1).astype("i8")[0])]
    return chain_case(id, "ema", {}, STEPS, EVERY, start, **_texts("the moving range"))


def _cell(name: str, make: Any, id: str, draw: Draw) -> ChainCase:
    params = make(draw, 3, 2)
    inputs = draw.mixed(8, True, INPUTS * 3).reshape(INPUTS, 3)
    start = [5, -9, int(draw.words(1).astype("i8")[0])]
    return chain_case(id, name, {}, STEPS, EVERY, start, params, inputs, **_texts("a cell of two units"))
