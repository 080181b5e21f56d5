"""What a sweep says of a mismatch: the operands, both codes, and the command that shows it again."""

from __future__ import annotations

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.formats import INT32
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT
from verification.compare import hexadecimal
from verification.sweeps.golden_side import reals
from verification.sweeps.plans import plan
from verification.sweeps.runner import Outcome, both_codes
from verification.sweeps.sweep import Sweep

POT_ZERO_POINTS = 1 << 20


def operands(sweep: Sweep, index: int) -> dict[str, int | float | str]:
    """What stands at an index of a sweep, by name."""
    low, middle, high = (index & 255) - 128, (index >> 8 & 255) - 128, index >> 16
    if sweep.step.startswith("quantize"):
        return {"v": float(reals(np, index, index + 1)[0]), "bits": f"0x{index:08x}"}
    if sweep.step in ("ties_up", "ties_away", "ties_even", "requantize"):
        return {"v" if sweep.step == "requantize" else "x": index - 2**31}
    if sweep.step == "matmul":
        return {"x": (index >> 8) - 128, "W": low}
    if sweep.step == "mshift_candidate":
        return {"r": index >> 25, "Rh": (index & (2**25 - 1)) - 2**24}
    if sweep.step in ("mshift_hidden", "pot_hidden"):
        return {"z": high, "g": middle, "h": low}
    if sweep.step == "pot_reset_path":
        return {"r": index >> 8, "Rh": low}
    if sweep.step == "zoneout_blend":
        return {"k": high or 1 << 15, "h_prev": middle, "h_new": low}
    return {"q": index - (128 if sweep.step == "direct" else 32768)}


def mismatch_lines(outcome: Outcome) -> list[str]:
    """The report of the first mismatch of a piece; both codes are computed again on the host."""
    assert outcome.first is not None
    sweep, (index, k) = outcome.piece.sweep, outcome.first
    golden, twin, _ = both_codes(sweep, index, k)
    shown = hexadecimal(twin, 64), hexadecimal(golden, 64)
    numbers = " ".join(f"{name}={value}" for name, value in sweep.constants.items())
    inputs = ", ".join(f"{name} = {value}" for name, value in operands(sweep, index).items())
    many = f"{outcome.mismatches} of {outcome.compared} codes"
    lines = [
        f"MISMATCH {sweep.step} [{sweep.clause}] {sweep.outputs[k]}: {many}, first index {index}",
        f"  constants: {numbers}",
        f"  operands: {inputs}",
        f"  twin {twin} ({shown[0]}), golden {golden} ({shown[1]})",
        f'  replay: qgru sweep {sweep.step} --params "{numbers}" --range {index}:{index + 1}',
    ]
    if twin == golden:
        lines[3] += "; on the host the two agree, so the device differs from it"
    return lines


def checked(sweep: Sweep) -> Sweep:
    """The same sweep when its constants are those of its step, else ParameterError naming the constant."""
    usual = plan(sweep.step)[0].constants
    for name, example in usual.items():
        value = sweep.constants.get(name)
        if name not in sweep.constants:
            raise ParameterError("--params", repr(" ".join(sweep.constants)), f"a value for each of {', '.join(usual)}")
        if isinstance(example, float):
            _check_scale(name, value)
        elif isinstance(example, str) != isinstance(value, str) or isinstance(value, float):
            raise ParameterError(f"--params {name}", repr(value), "a word" if isinstance(example, str) else "an integer")
        elif isinstance(value, int):
            low, high = _limits(sweep.step, name)
            if not low <= value <= high:
                raise ParameterError(f"--params {name}", value, f"an integer in [{low}, {high}]")
        elif name == "rounding" and value not in ("ties_away", "ties_even"):
            raise ParameterError("--params rounding", repr(value), "ties_away or ties_even")
    for name in sweep.constants:
        if name not in usual:
            raise ParameterError(f"--params {name}", repr(sweep.constants[name]), f"only {', '.join(usual)}")
    return sweep


def _limits(step: str, name: str) -> tuple[int, int]:
    if step in ("ties_away", "ties_even") and name == "s":
        return -31, 100
    if step == "ties_up" and name == "s":
        return 0, 100
    if name.startswith("e_"):
        return MIN_EXPONENT, MAX_EXPONENT
    if step.startswith("pot"):
        return -POT_ZERO_POINTS, POT_ZERO_POINTS
    return INT32.qmin, INT32.qmax


def _check_scale(name: str, value: int | float | str | None) -> None:
    with np.errstate(over="ignore", under="ignore"):
        try:
            real = np.float32(value) if isinstance(value, (int, float)) else np.float32("nan")
        except OverflowError:
            real = np.float32("inf")
    if not (np.isfinite(real) and real > 0):
        raise ParameterError(f"--params {name}", repr(value), "a positive, finite binary32 number")
