"""A long chain on a device: every step asked of it, many in a request, with the operands that the chain has there.

A device whose every step gives what golden gives walks the chain exactly as golden does; the first step that does not is the
one at which it would leave it. So no device needs the chain built in, and the step is known at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError
from golden.spec.serial import to_plain
from vectors.chain import CLAUSES, FACTOR, INCREMENT, trajectory
from vectors.chain_case import ChainCase, checkpoints
from vectors.step_case import StepCase
from verification.compare import hexadecimal
from verification.dut.capabilities import OUTPUT, Capabilities
from verification.dut.device import Answer, Device
from verification.dut.examine import Outcome, check_case, checked
from verification.dut.failure import DIFFERS, EQUAL, NOT_RUN, Failure, NotSupported
from verification.dut.request import Request, Wanted, with_params
from verification.dut.step_compare import StepComparison

ROWS = 20_000  # of a request
FEWEST_ROWS = 64  # a device that takes fewer at once would be asked all day
CELLS = {"mshift_cell": "mshift", "pot_cell": "pot"}


@dataclass(frozen=True)
class ChainComparison:
    """How far a device follows a chain.

    compared, mismatches  numbers, up to the request in which the first one differs
    step       the first that differs, or None
    column     what differs there
    got, expected, bits  the numbers and their width
    operands   of that step
    """

    compared: int
    mismatches: int = 0
    step: int | None = None
    column: str = ""
    got: int = 0
    expected: int = 0
    bits: int = 64
    operands: Mapping[str, Any] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether no number differs."""
        return self.mismatches == 0


def missing(chain: str, capabilities: Capabilities) -> str | None:
    """Why a chain is not run, in a few words, or None when the device declares what it needs."""
    limit = capabilities.limits.get("N" if chain in CELLS else "rows", ROWS)
    if limit < FEWEST_ROWS:
        return f"{'N' if chain in CELLS else 'rows'} is declared at most {limit}, a chain takes {FEWEST_ROWS} at once"
    if chain in CELLS:
        promised = capabilities.promised("sequence", CELLS[chain])
        if promised is not None and not {"h", OUTPUT} & set(promised):
            return f"neither h nor {OUTPUT} of the datapath {CELLS[chain]} is promised"
        return capabilities.missing("sequence", CELLS[chain], frozenset({"h0"}), {"T": 1})
    return capabilities.missing("step", chain, frozenset(), {})


def chain_of(id: str) -> str:
    """The name of the chain of a planned case, by its id."""
    name = id.removeprefix("chain-").replace("-", "_")
    return next(chain for chain in CLAUSES if name.startswith(chain))


def check_chain(device: Device, case: ChainCase) -> Outcome:
    """Ask a device for every step of a chain.

    Raises   ParameterError when the checkpoints of the case are not golden's
    """
    reason = missing(case.chain, device.capabilities)
    if reason is None and case.params is not None:
        sizes = {"T": 1, "C": case.params.input_size, "H": case.params.hidden_size}
        reason = device.capabilities.missing("sequence", CELLS[case.chain], frozenset({"h0"}), sizes)
    if reason is not None:
        return Outcome(case, NOT_RUN, reason)
    states = case.trajectory
    if states is None:
        states = trajectory(case.chain, dict(case.constants), case.start, case.steps, case.params, case.inputs)
        found, digests = checkpoints(states, case.every)
        if not np.array_equal(found, case.states) or tuple(digests) != tuple(case.digests):
            raise ParameterError(f"case {case.id} checkpoints", "others than golden's", "a set that qgru vectors lint takes")
    part = _cells if case.chain in CELLS else _steps
    compared = 0
    try:
        for first, result in part(device, case, states):
            if isinstance(result, Outcome):
                return Outcome(case, result.outcome, f"from step {first}: {result.detail}" if result.detail else "")
            compared += result.compared
            if not result.equal:
                return Outcome(case, DIFFERS, "", (result.column,), _moved(result, first, compared))
    except NotSupported as error:
        return Outcome(case, NOT_RUN, f"the device does not do it{': ' if str(error) else ''}{error}")
    except Failure as failure:
        return Outcome(case, failure.kind, failure.sentence)
    return Outcome(case, EQUAL, "", ("h",) if case.chain in CELLS else (case.chain,), ChainComparison(compared))


def _moved(c: ChainComparison, first: int, compared: int) -> ChainComparison:
    assert c.step is not None
    return ChainComparison(compared, c.mismatches, first + c.step, c.column, c.got, c.expected, c.bits, c.operands)


Part = Iterator[tuple[int, "ChainComparison | Outcome"]]


def _ranges(case: ChainCase, most: int) -> Iterator[tuple[int, int]]:
    for first in range(0, case.steps, most):
        yield first, min(case.steps, first + most)


def _steps(device: Device, case: ChainCase, states: np.ndarray) -> Part:
    """A step chain as cases of the step."""
    most = min(ROWS, device.capabilities.limits.get("rows", ROWS))
    for first, stop in _ranges(case, most):
        inputs, outputs = _columns(case.chain, states[first : stop + 1])
        found = check_case(device, StepCase(case.id, case.chain, case.constants, inputs, outputs, flags={}))
        c = found.comparison
        if not isinstance(c, StepComparison) or found.outcome not in (EQUAL, DIFFERS):
            yield first, found
            return
        d = c.first
        if d is None:
            yield first, ChainComparison(c.compared)
        else:
            yield first, ChainComparison(c.compared, c.mismatches, d.row, d.column, d.got, d.expected, d.bits, d.operands)


def _columns(chain: str, states: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """(inputs, outputs) of the steps between consecutive states."""
    w = states[:-1, -1]
    logical = w.astype(np.uint64)
    if chain == "ema":
        c_min, c_max = 0xBF000000 | (w >> 40 & 0xFFFFFF), 0x3F000000 | (w >> 16 & 0xFFFFFF)
        inputs = {"rmin": states[:-1, 0], "rmax": states[:-1, 1], "cmin": c_min, "cmax": c_max}
        return inputs, {"rmin_out": states[1:, 0], "rmax_out": states[1:, 1]}
    with np.errstate(over="ignore"):
        fed = states[1:, -1].astype(np.uint64) - (logical * np.uint64(FACTOR) + np.uint64(INCREMENT))
    if chain == "requantize":
        v = (w >> 16).astype(np.int32).astype(np.int64) >> (logical >> np.uint64(59)).astype(np.int64)
        return {"v": v}, {"q": fed.astype(np.int64)}
    x = (logical << np.uint64(6)).astype(np.int64) >> (w & 31)
    return {"x": x, "s": (logical >> np.uint64(58)).astype(np.int64)}, {"y": fed.astype(np.int64)}


def _cells(device: Device, case: ChainCase, states: np.ndarray) -> Part:
    """A cell chain as runs of one step, a row for each step of the chain."""
    assert case.params is not None and case.inputs is not None
    hidden = case.params.hidden_size
    most = min(ROWS, device.capabilities.limits.get("N", ROWS))
    for first, stop in _ranges(case, most):
        w = states[first:stop, hidden].astype(np.uint64)
        x = case.inputs[(w >> np.uint64(60)).astype(np.int64)][None].astype(np.int32)
        h0 = states[first:stop, :hidden].astype(np.int32)
        request = _cell_request(case, x, h0, device.capabilities)
        given, after = _states(request, device.run(request)), states[first + 1 : stop + 1, :hidden]
        wanted = {name: h0 if name == "h" else after for name in given}
        name = next((n for n in given if not np.array_equal(given[n], wanted[n])), None)
        if name is None:
            yield first, ChainComparison(after.size)
            continue
        got, expected = given[name], wanted[name]
        wrong = np.argwhere(got != expected)
        row, unit = (int(i) for i in wrong[0])
        operands = {"x": x[0, row].tolist(), "h": h0[row].tolist(), "expected h'": after[row].tolist()}
        yield first, ChainComparison(
            after.size, len(wrong), row, f"{name}[{unit}]", int(got[row, unit]), int(expected[row, unit]),
            case.params.fmt_h.bits, operands,
        )  # fmt: skip


def _cell_request(case: ChainCase, x: np.ndarray, h0: np.ndarray, capabilities: Capabilities) -> Request:
    batch, hidden = h0.shape
    datapath = CELLS[case.chain]
    promised = capabilities.promised("sequence", datapath)
    shapes = {"h": (2, batch, hidden), OUTPUT: (1, batch, hidden)}
    names = [name for name in shapes if promised is None or name in promised]
    outputs = tuple(Wanted(name, "int32", shapes[name], promised is not None) for name in names)
    options = {"zoneout": 0.0, "training": False, "reverse": False}
    assert case.params is not None
    header, arrays = with_params(*to_plain(case.params), {"x": x, "h0": h0}, options)
    return Request("sequence", case.id, datapath, header, arrays, outputs)


def _states(request: Request, answer: Answer) -> dict[str, np.ndarray]:
    """What the answer holds, [N,H]: the states after the step, h' of h and output, and h, the initial ones that came back.

    Raises   Failure for an answer that does not hold them
    """
    if answer.refusal is not None:
        raise Failure("error", f"refused as bad input: {answer.refusal or 'without a word'}")
    asked = {w.name for w in request.outputs}  # of a whole trace, which a device may give here as well, no more is looked at
    arrays = checked(request, replace(answer, arrays={name: a for name, a in answer.arrays.items() if name in asked}))
    for name in arrays:
        if answer.unwritten.get(name, 0):
            raise Failure("short", f"array {name}: {answer.unwritten[name]} numbers were not written")
    found = {"h'": arrays["h"][1]} if "h" in arrays else {}
    found |= {OUTPUT: arrays[OUTPUT][0]} if OUTPUT in arrays else {}
    return found | ({"h": arrays["h"][0]} if "h" in arrays else {})


def chain_report(case: ChainCase, c: ChainComparison, *, names: tuple[str, str], replay: str) -> str:
    """The mismatch report of a chain, in a few lines."""
    assert c.step is not None
    size = max(len(name) for name in names)
    got, expected = hexadecimal(c.got, c.bits), hexadecimal(c.expected, c.bits)
    constants = "".join(f", {name} = {value}" for name, value in case.constants.items())
    operands = ", ".join(f"{name} = {value}" for name, value in c.operands.items())
    return "\n".join(
        [
            f"MISMATCH {names[0]} against {names[1]}, chain {case.chain}",
            f"  {c.column} [SPEC {CLAUSES[case.chain]}] after step {c.step} of {case.steps}, in block {c.step // case.every}",
            f"  {names[0]:<{size}}  {c.got} ({got})",
            f"  {names[1]:<{size}}  {c.expected} ({expected}), difference {c.got - c.expected}",
            f"  operands: {operands}{constants}",
            f"  the {c.step} steps before it are equal; {c.mismatches} of the {c.compared} numbers asked for differ",
            f"  replay: {replay}",
        ]
    )
