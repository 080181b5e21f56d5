"""The time loop: which state a step reads, and that a run split anywhere gives the same as one run.  [SPEC S-1, S-2, D-2]

The twin's loops are run whole on a few steps, with every step of a unit and every product an unknown function of what it is
given: what is proven is that each of them is given the same in one run and in two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import z3

from verification.proofs.case import INT32, Case
from verification.proofs.clauses import between
from verification.proofs.obligation import Obligation
from verification.proofs.values import Cells, is_known

STEPS = 3
INTEGER = z3.IntSort()


def reads(reverse: int, case: Case) -> None:
    """Step i reads what step i - 1 wrote, step 0 the initial state, and no step overwrites what another wrote."""
    steps, i, j = case.integer("steps", 1, 2**31), case.integer("i", 0, 2**31), case.integer("j", 0, 2**31)
    case.assume(i < steps, j < steps)

    def time(k: Any) -> Any:
        return steps - 1 - k if reverse else k

    found = case.run("programs.previous_state", i, time(i), steps, reverse)
    case.goal("step 0 reads index 0", z3.Implies(i == 0, found == 0))
    case.goal("step i reads what step i - 1 wrote", z3.Implies(i > 0, found == time(i - 1) + 1))
    case.goal("no two steps write the same state", z3.Implies(i != j, time(i) + 1 != time(j) + 1))
    case.goal("no step writes the initial state", time(i) + 1 != 0)


def term(value: Any) -> Any:
    return z3.IntVal(int(value)) if is_known(value) else value


def unknown(case: Case, name: str, arguments: list[Any], last: int = 2**31 - 1) -> Any:
    """An unknown function of the arguments, in [-last - 1, last]."""
    terms = [term(a) for a in arguments]
    found = z3.Function(name, *[INTEGER] * (len(terms) + 1))(*terms)
    case.facts.append(between(-last - 1, found, last))
    return found


def leaves(value: Any) -> list[Any]:
    """Every number of the arguments."""
    if isinstance(value, Cells):
        return [v for v in value.cells.reshape(-1)]
    if isinstance(value, (tuple, list)):
        return [v for part in value for v in leaves(part)]
    return [value]


def unknown_steps(case: Case, sizes: dict[str, tuple[int, ...]]) -> None:
    """Contracts that make the cells and the product unknown functions of all they are given."""

    def product(codes: Any, weights: Any, sums: Any, zp: Any, block: Any, out: Any) -> None:
        for m in range(out.shape[0]):
            out.store(m, unknown(case, f"product_{m}", leaves((codes, zp))))

    def cell(name: str, *arguments: Any) -> Any:
        given = leaves(arguments[: 18 + 1 if name == "pot" else 12 + 1]) + leaves(arguments[-4])
        groups, k = [], 0
        for size in sizes[name]:
            groups.append(tuple(unknown(case, f"{name}_{k + i}", given, 127) for i in range(size)))
            k += size
        return tuple(groups)

    case.contract(
        {
            "linear.matmul": product,
            "cell.mshift_cell": partial(cell, "mshift"),
            "cell.pot_cell": partial(cell, "pot"),
            "cell.pot_products": lambda a, b, e, f, ops: (unknown(case, "Wx_code", [a, e]), unknown(case, "Rh_code", [b, f])),
            "rescale.requantize": lambda *a: unknown(case, "requantized", list(a), 127),
            "hidden.zoneout_blend": lambda *a: (unknown(case, "blend_acc", list(a)), unknown(case, "blend", list(a), 127)),
        }
    )


class Run:
    """The arrays of one run of the twin's loop."""

    def __init__(self, case: Case, sizes: dict[str, tuple[int, ...]], hidden: int, options: dict[str, int]) -> None:
        self.case, self.sizes, self.hidden, self.options = case, sizes, hidden, options

    def inputs(self, name: str, *shape: int, kind: str = "int64", low: int = INT32[0], high: int = INT32[1]) -> Cells:
        made = np.empty(shape, object)
        for index in np.ndindex(*shape):
            made[index] = self.case.integer("_".join([name, *map(str, index)]), low, high)
        return Cells(made, kind)

    def empty(self, *shape: int, kind: str = "int32") -> Cells:
        return Cells(np.zeros(shape, object), kind)

    def go(
        self, name: str, shared: list[Any], per_step: dict[str, Any], h0: Any, reverse: int, moving: int
    ) -> dict[str, Cells]:
        """One run over the steps of per_step; the arrays by name."""
        steps, H = per_step["Wx"].shape[0], self.hidden
        h = self.empty(steps + 1, 1, H)
        h.cells[0, 0] = h0
        a, b, c = self.sizes[name]
        made = {
            "Rh": self.empty(steps, 1, 3 * H, kind="int64"),
            "ints": self.empty(a, steps, 1, H),
            "longs": self.empty(b, steps, 1, H, kind="int64"),
            "biases": self.empty(c, steps, H, kind="int64"),
            "h_q": self.empty(steps, 1, H),
            "h": h,
            "acc": self.empty(steps, 1, H, kind="int64"),
            "v": self.empty(steps if self.options["training"] else 0, 1, 4 * H),
            "codes": self.empty(steps, 1, 3 * H),
            "Rh_codes": self.empty(steps, 1, 3 * H),
        }
        mask = per_step["mask"] if self.options["training"] else self.empty(0, 0, 0)
        blend = self.options["zoneout_k"]
        if name == "mshift":
            head: tuple[Any, ...] = (0, 1, 0, steps, reverse, moving, blend, 16, per_step["numbers"], *shared)
            middle: tuple[Any, ...] = (per_step["Wx"], made["Rh"], made["ints"], made["longs"], made["biases"], made["h_q"], h)
        else:
            head = (0, 1, 0, steps, reverse, blend, 16, *shared)
            parts = (made["codes"], made["Rh"], made["Rh_codes"], made["ints"], made["longs"], made["biases"])
            middle = (per_step["Wx"], *parts, h)
        self.case.machine.call(f"programs.{name}_rows", (*head, *middle, mask, made["acc"], made["v"]))
        return made


def split(name: str, at: int, reverse: int, moving: int, options: dict[str, int], case: Case) -> None:
    """One run over three steps beside two runs, the second from the state that the first leaves."""
    hidden, twin = 2, case.machine.twin
    sizes = {
        n: tuple(len(twin.globals_of("cell.x")[f"{n.upper()}_{g}"]) for g in ("32", "64", "BIAS")) for n in ("mshift", "pot")
    }
    unknown_steps(case, sizes)
    run = Run(case, sizes, hidden, options)
    Wx = run.inputs("Wx", STEPS, 1, 3 * hidden, low=-(2**47), high=2**47)
    mask = run.inputs("mask", STEPS, 1, hidden, low=0, high=1)
    numbers = run.inputs("m", STEPS + 1 if moving else 1, 35)
    weights = [run.inputs(n, 2, 3 * hidden) if n == "R" else run.inputs(n, 3 * hidden) for n in ("R", "sums", "bx", "br")]
    shared: list[Any] = [*weights, *[run.empty(1, 8)] * 3]
    if name == "pot":
        exponents = [run.inputs(f"e_{k}", 3 * hidden) for k in ("W", "R", "bx", "br")]
        shared = [run.inputs("ops", 15, 4), *exponents, *shared]
    h0 = [case.integer(f"h0_{j}", -128, 127) for j in range(hidden)]
    whole = run.go(name, shared, {"Wx": Wx, "mask": mask, "numbers": numbers}, h0, reverse, 1 if moving else 0)

    def part(first: int, last: int, state: Any, mode: int) -> dict[str, Cells]:
        times = slice(STEPS - last, STEPS - first) if reverse else slice(first, last)
        rows = Cells(numbers.cells[first : last + 1]) if moving else numbers
        return run.go(name, shared, {"Wx": Wx[times], "mask": mask[times], "numbers": rows}, state, reverse, mode)

    one = part(0, at, h0, 1 if moving else 0)
    carried = one["h"].cells[1 if reverse else at, 0].tolist()
    two = part(at, STEPS, carried, 2 if moving else 0)
    early, late = (two, one) if reverse else (one, two)
    for field in ("Rh", "ints", "longs", "biases", "h", "acc", "v", "codes", "Rh_codes", *(("h_q",) if moving else ())):
        axis = 1 if field in ("ints", "longs", "biases") else 0
        first, second, both = (part_[field].cells for part_ in (early, late, whole))
        if field == "h":
            first, second, both = first[1:], second[1:], both[1:]
        joined = np.concatenate([first, second], axis=axis)
        pairs = list(zip(joined.reshape(-1), both.reshape(-1)))
        case.goal(f"{field} has as many numbers", joined.shape == both.shape)
        if pairs:
            case.goal(f"{field} is the same in one run and in two", z3.And(*(term(p) == term(q) for p, q in pairs)))


def landing(kind: str, case: Case) -> None:
    """The state that a step writes."""
    t, n, j = 1, 0, 1
    h, acc = Cells(np.zeros((3, 1, 2), object), "int32"), Cells(np.zeros((2, 1, 2), object))
    mask = Cells(np.zeros((2, 1, 2) if kind == "mask" else (0, 0, 0), object), "int32")
    if kind == "mask":
        mask.cells[t, n, j] = case.integer("mask", 0, 1)
    low, high = case.integer("qmin", -(2**15), 0), case.integer("qmax", 0, 2**16 - 1)
    h_prev, h_new = case.integer("h_prev"), case.integer("h_new")
    case.assume(low <= h_prev, h_prev <= high, low <= h_new, h_new <= high)
    zp = case.integer("zero_point", *INT32)
    k = case.integer("k", 0, 2**15) if kind == "zoneout" else -1
    blended = unknown(case, "blend", [k, h_prev, h_new, zp, low, high])
    total = unknown(case, "blend_acc", [k, h_prev, h_new, zp, low, high])
    case.contract({"hidden.zoneout_blend": lambda *a: tuple(unknown(case, f, list(a)) for f in ("blend_acc", "blend"))})
    case.assume(low <= blended, blended <= high)
    case.run("programs.land_state", n, j, t, h_prev, h_new, zp, low, high, k, mask, acc, h)
    wanted: Any = h_new
    if kind == "mask":
        wanted = z3.If(mask.cells[t, n, j] == 1, h_prev, h_new)
    if kind == "zoneout":
        wanted = blended
        case.goal("the sum before rounding is kept", acc.cells[t, n, j] == total)
    case.goal("h[t + 1] is what the clause says", h.cells[t + 1, n, j] == wanted)
    others = [v for index, v in np.ndenumerate(h.cells) if index != (t + 1, n, j)]
    case.goal("no other state is written", all(is_known(v) and v == 0 for v in others))


def obligations() -> list[Obligation]:
    """The time loop."""
    plain, masked, blended = ({"training": t, "zoneout_k": k} for t, k in ((0, -1), (1, -1), (0, 1000)))
    cases: dict[str, Callable[[Case], None]] = {}
    for name, moving in (("mshift", 1), ("mshift", 0), ("pot", 0)):
        for reverse in (0, 1):
            for kind, options, splits in (("plain", plain, (1, 2)), ("mask", masked, (1,)), ("zoneout", blended, (2,))):
                for at in splits:
                    path = f"{name}{' moving' if moving else ''}"
                    key = f"{path}, {'backward' if reverse else 'forward'}, {kind}, split at {at}"
                    cases[key] = partial(split, name, at, reverse, moving, options)
    return [
        Obligation(
            "previous_state",
            "S-1, S-2",
            "each step reads the state that the step before it wrote, the first one the initial state, and no "
            "state is written twice",
            "any number of steps, both directions",
            {"forward": partial(reads, 0), "backward": partial(reads, 1)},
            logic="QF_LIA",
            function="programs.previous_state",
        ),
        Obligation(
            "land_state",
            "Z-1, Z-2, S-1",
            "a step writes h[t + 1] and nothing else: h', or the kept state where the mask is 1, or the blend; int32 holds it",
            "states of any format of 16 bits or less",
            {k: partial(landing, k) for k in ("plain", "mask", "zoneout")},
            logic="QF_UFLIA",
            function="programs.land_state",
            uses=("zoneout_mask", "zoneout_blend"),
        ),
        Obligation(
            "split_run",
            "S-1, S-2, D-2",
            "a run split after any step and continued from the state it leaves (with its numbers, where ranges move) "
            "gives every number that one run gives",
            "three steps, two units, cells and products as unknown functions of what they are given; both datapaths and "
            "directions, moving ranges, mask and zoneout",
            cases,
            logic="QF_UFLIA",
            function="programs.mshift_rows",
            uses=("previous_state",),
            covered="longer runs: previous_state holds for any number of steps",
        ),
    ]
