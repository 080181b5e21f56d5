"""Cases of whole cells and sequences.  [SPEC G-M, D, G-P, S, Z]"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.params import MShiftDynamicParams, Params
from vectors.case import Case, case_from_trace
from vectors.draw import Draw
from vectors.plan import sets
from vectors.plan.planned import DYNAMIC, P_ONLY, REGIONS, STATIC_M, Plan, Planned
from vectors.plan.second import level_of

SIZES = {"cell": (2, 6, 3, 4), "sequence": (8, 2, 3, 4), "long": (100, 1, 3, 4), "wide": (6, 4, 40, 33)}
"""T, N, C, H."""


def cases() -> Plan:
    """Cells (two steps) and sequences of all datapaths, with every option."""
    make: Callable[..., Params]
    for region in REGIONS:
        for bits in (8, 16):
            make = partial(sets.mshift, gate_bits=bits, region=region)
            level = 1 if region == "inside" or (bits == 8 and region in ("below", "high")) else 2
            comment = f"Gate inputs of {bits} bits, zero points {region}."
            yield _run(f"mshift-{bits}-{region}", "cell", level, STATIC_M, comment, make)
            make = partial(sets.mshift, gate_bits=bits, region=region, kind="loud")
            yield _run(f"mshift-{bits}-{region}-loud", "cell", 2, STATIC_M, "Every stage saturates.", make)
        for even in (False, True):
            for kind in ("plain", "loud", "left"):
                rounding = "even" if even else "away"
                make = partial(sets.pot, region=region, even=even, kind=kind)
                comment = f"8 bits, ties {rounding}, zero points {region}, {kind}."
                yield _run(
                    f"pot-8-{rounding}-{region}-{kind}",
                    "cell",
                    1 if kind == "plain" and region == "inside" else 2,
                    P_ONLY,
                    comment,
                    make,
                )
                make = partial(sets.pot, bits=16, region=region, even=even, kind=kind, activation="piecewise_quadratic")
                comment = f"16 bits, quadratic tables, ties {rounding}, zero points {region}, {kind}."
                level = 1 if region == "inside" and kind == "plain" and not even else 2
                yield _run(f"pot-16-{rounding}-{region}-{kind}", "cell", level, P_ONLY, comment, make)
    document = partial(sets.mshift, presets="document")
    yield _run("mshift-document", "cell", 2, STATIC_M, "The shifts of the source document, 15 for all.", document)
    for activation in ("direct", "piecewise_quadratic"):
        make = partial(sets.pot, activation=activation)
        yield _run(f"pot-8-{activation.replace('_', '-')}", "cell", 2, P_ONLY, f"Activations {activation}.", make)
    yield from _sequences()
    yield from _dynamic()


def _sequences() -> Plan:
    m, p = partial(sets.mshift), partial(sets.pot)
    for name, make, datapaths in (("mshift", m, STATIC_M), ("pot", p, P_ONLY)):
        yield _run(f"{name}-plain", "sequence", 1, datapaths, "Forward, no initial state.", make)
        yield _run(f"{name}-h0", "sequence", 2, datapaths, "With an initial state.", make, h0=True)
        yield _run(
            f"{name}-reverse", "sequence", 2, datapaths, "Backwards, with an initial state.", make, h0=True, reverse=True
        )
        yield _run(f"{name}-empty", "sequence", 1, datapaths, "No step at all.", make, h0=True, steps=0)
        yield _run(f"{name}-training", "sequence", 1, datapaths, "Training without zoneout keeps v.", make, training=True)
        yield _run(
            f"{name}-mask",
            "sequence",
            1,
            datapaths,
            "Training with a mask.",
            make,
            h0=True,
            training=True,
            zoneout=0.25,
            mask=True,
        )
        yield _run(
            f"{name}-mask-reverse",
            "sequence",
            1,
            datapaths,
            "A mask in time order, read backwards.",
            make,
            reverse=True,
            training=True,
            zoneout=0.5,
            mask=True,
        )
        for p_text, probability in (("0.1", 0.1), ("1", 1.0)):
            yield _run(
                f"{name}-zoneout-{p_text}",
                "sequence",
                1 if probability < 1 else 2,
                datapaths,
                f"Inference with zoneout {p_text}.",
                make,
                h0=True,
                zoneout=probability,
            )
        yield _run(f"{name}-long", "long", 2, datapaths, "A hundred steps.", make, h0=True)
        for size in range(1, 6):
            comment = "One unit, one input." if size == 1 else "Other sizes."
            yield _run(
                f"{name}-size-{size}",
                "sequence",
                2,
                datapaths,
                comment,
                make,
                h0=True,
                sizes=(5, size % 3 + 1, 2 * size - 1, size),
            )
        for number in range(40):
            region, level = REGIONS[number % 5], 2 if number < 20 else 3
            yield _run(
                f"{name}-wide-{number:02d}",
                "wide",
                level,
                datapaths,
                f"Zero points {region}.",
                partial(make, region=region),
                h0=True,
            )


def _dynamic() -> Plan:
    make = sets.dynamic
    yield _run("dynamic-plain", "sequence", 1, DYNAMIC, "Moving ranges, no initial state.", make)
    yield _run("dynamic-h0", "sequence", 2, DYNAMIC, "Moving ranges, a real initial state.", make, h0=True)
    yield _run("dynamic-reverse", "sequence", 2, DYNAMIC, "Moving ranges, backwards.", make, h0=True, reverse=True)
    yield _run("dynamic-empty", "sequence", 1, DYNAMIC, "No step at all.", make, h0=True, steps=0)
    yield _run("dynamic-16", "sequence", 2, DYNAMIC, "16-bit gate inputs.", partial(make, gate_bits=16))
    yield _run(
        "dynamic-symmetric",
        "sequence",
        2,
        DYNAMIC,
        "Symmetric ranges of x and h.",
        partial(make, x_symmetric=True, h_symmetric=True),
    )
    yield _run("dynamic-reciprocal", "sequence", 2, DYNAMIC, "x quantized with a reciprocal.", partial(make, reciprocal=True))
    yield _run(
        "dynamic-document", "sequence", 2, DYNAMIC, "The shifts of the source document.", partial(make, shift=15, shift_bias=15)
    )
    yield _run(
        "dynamic-shift-31",
        "sequence",
        2,
        DYNAMIC,
        "Shifts of 31: multipliers saturate.",
        partial(make, shift=31, shift_bias=31),
    )
    yield _run("dynamic-quiet", "sequence", 1, DYNAMIC, "A first step of zeros: the range is degenerate.", make, quiet=True)
    yield _run("dynamic-mask", "sequence", 1, DYNAMIC, "Training with a mask.", make, training=True, zoneout=0.25, mask=True)
    yield _run("dynamic-zoneout", "sequence", 2, DYNAMIC, "Inference with zoneout.", make, h0=True, zoneout=0.1)
    yield _run("dynamic-continued", "sequence", 2, DYNAMIC, "Goes on from the state after five steps.", make, continued=True)
    yield _run("dynamic-long", "long", 2, DYNAMIC, "A hundred steps.", make, h0=True)
    for number in range(30):
        level = 2 if number < 10 else 3
        yield _run(f"dynamic-wide-{number:02d}", "wide", level, DYNAMIC, "Moving ranges, a wider cell.", make, h0=True)


def _run(
    part: str, size: str, level: int, datapaths: tuple[str, ...], comment: str, make: Callable[..., Params], **given: Any
) -> Planned:
    kind = "cell" if size == "cell" else "sequence"
    id = f"{kind}-{part}"
    level = level_of(id, level)
    group = f"{kind}-{part.partition('-')[0]}"
    return Planned(id, level, datapaths, partial(_case, id, group, size, level, comment, make, given))


def _case(
    id: str, group: str, size: str, level: int, comment: str, make: Callable[..., Params], given: dict[str, Any], draw: Draw
) -> Case:
    steps, batch, inputs, hidden = given.get("sizes", SIZES[size])
    steps = given.get("steps", steps)
    params = make(draw, inputs, hidden)
    shape = (steps, batch, inputs)
    x, h0 = _operands(params, draw, shape, given)
    mask = (
        draw.integers(0, 1, steps * batch * hidden).reshape(steps, batch, hidden).astype(np.int32)
        if given.get("mask")
        else None
    )
    options = {"mask": mask, "zoneout": given.get("zoneout", 0.0), "training": given.get("training", False)}
    if given.get("continued"):
        h0 = forward(params, x[:5]).state
    trace = forward(params, x, h0, reverse=given.get("reverse", False), **options)
    return case_from_trace(id, params, x, h0, trace, group=group, comment=comment, level=level, **options)


def _operands(params: Params, draw: Draw, shape: tuple[int, int, int], given: dict[str, Any]) -> tuple[np.ndarray, Any]:
    count, states = shape[0] * shape[1] * shape[2], shape[1] * params.hidden_size
    if isinstance(params, MShiftDynamicParams):
        x = draw.reals(-5, 2, count).reshape(shape)
        if given.get("quiet"):
            x[:2] = 0.0
            x[2] *= np.float32(2.0**-12)
        return x, draw.reals(-4, 0, states).reshape(shape[1], -1) if given.get("h0") else None
    x = draw.mixed(params.fmt_x.bits, params.fmt_x.signed, count).reshape(shape).astype(np.int32)
    h0 = draw.mixed(params.fmt_h.bits, params.fmt_h.signed, states).reshape(shape[1], -1).astype(np.int32)
    return x, h0 if given.get("h0") else None
