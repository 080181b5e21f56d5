"""A case of a long chain: where it starts, and the state and the digest after every block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from golden.spec.arrays import check_shape, checked_int, int_array
from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.params import Params
from golden.spec.profile import SPEC_VERSION, profile
from golden.spec.serial import from_plain, to_plain
from vectors.canonical import dumps, plain
from vectors.chain import CLAUSES, CONSTANTS, INPUTS, checkpoints, trajectory, width

MAX_STEPS = 10**8


@dataclass(frozen=True, eq=False)
class ChainCase:
    """A chain of vectors.chain and its checkpoints.

    id         permanent and unique in its set
    chain      name in vectors.chain.CLAUSES
    constants  of the step, or empty
    steps      how many, a multiple of every
    every      steps of a block
    start      int64 [W]
    states     int64 [steps / every, W], after each block
    digests    hexadecimal SHA-256 of each block
    params     of a cell, static, else None
    inputs     int32 [16, C], what a cell reads, else None
    trajectory  int64 [steps + 1, W], every state, where the case was just made; not written
    """

    id: str
    chain: str
    constants: Mapping[str, int]
    steps: int
    every: int
    start: np.ndarray
    states: np.ndarray
    digests: tuple[str, ...]
    params: Params | None = None
    inputs: np.ndarray | None = None
    group: str = "chains"
    comment: str = ""
    level: int = 1
    flags: Any = None
    trajectory: np.ndarray | None = field(default=None, repr=False)

    kind: ClassVar[str] = "chain"

    def __post_init__(self) -> None:
        if self.chain not in CLAUSES:
            raise ParameterError("chain", repr(self.chain), f"one of {', '.join(CLAUSES)}")
        checked_int("every", self.every, 1, MAX_STEPS)
        checked_int("steps", self.steps, self.every, MAX_STEPS)
        blocks = self.steps // self.every
        if self.steps % self.every or len(self.digests) != blocks:
            raise ParameterError("digests", f"{len(self.digests)} for {self.steps} steps", f"one for every {self.every} steps")
        cell = {"mshift_cell": "mshift", "pot_cell": "pot"}.get(self.chain)
        if getattr(self.params, "datapath", None) != cell or (self.inputs is None) != (cell is None):
            raise ParameterError(
                "params", getattr(self.params, "datapath", "missing"), f"{cell or 'none'}, and inputs for a cell"
            )
        words = width(self.chain, self.params)
        for name, shape in (("start", (words,)), ("states", (blocks, words))):
            array = np.asarray(getattr(self, name))
            if array.dtype != np.int64:
                raise ParameterError(name, str(array.dtype), "int64")
            check_shape(name, array, shape)
        if sorted(self.constants) != sorted(CONSTANTS.get(self.chain, ())):
            raise ParameterError("constants", f"{sorted(self.constants)}", f"{CONSTANTS.get(self.chain, ())}")
        if self.params is not None:
            object.__setattr__(
                self, "inputs", int_array("inputs", self.inputs, self.params.fmt_x, (INPUTS, self.params.input_size))
            )
            int_array("start", self.start[:-1], self.params.fmt_h, (words - 1,))
        if self.constants:
            checked_int("constants.M", self.constants["M"], 0, 2**31 - 1)
            checked_int("constants.s", self.constants["s"], 0, 31)
            checked_int("constants.zp", self.constants["zp"], -(2**31), 2**31 - 1)
            IntFormat(self.constants["bits"], bool(checked_int("constants.signed", self.constants["signed"], 0, 1)))
        object.__setattr__(self, "flags", {"long_chain": self.steps} if self.flags is None else self.flags)

    def replay(self) -> tuple[np.ndarray, list[str]]:
        """(states, digests) that golden gives."""
        states = trajectory(self.chain, dict(self.constants), self.start, self.steps, self.params, self.inputs)
        return checkpoints(states, self.every)


def chain_case(
    id: str,
    chain: str,
    constants: Mapping[str, int],
    steps: int,
    every: int,
    start: Any,
    params: Params | None = None,
    inputs: Any = None,
    **texts: Any,
) -> ChainCase:
    """The chain from golden."""
    first = np.asarray(start, np.int64)
    walked = trajectory(chain, dict(constants), first, steps, params, inputs)
    states, digests = checkpoints(walked, every)
    return ChainCase(
        id, chain, constants, steps, every, first, states, tuple(digests), params, inputs, trajectory=walked, **texts
    )  # fmt: skip


def chain_entry(case: ChainCase) -> dict[str, Any]:
    """What the manifest says of a chain beside what every case has."""
    entry: dict[str, Any] = {
        "chain": case.chain,
        "constants": dict(case.constants),
        "steps": case.steps,
        "every": case.every,
        "digests": list(case.digests),
        "profile": {"spec": SPEC_VERSION, "chain": case.chain, "clause": CLAUSES[case.chain]},
    }
    if case.params is not None:
        entry |= {"params": plain(to_plain(case.params)[0], "params"), "profile": profile(case.params)}
    return entry


def chain_arrays(case: ChainCase) -> dict[str, tuple[np.ndarray, str, str, str]]:
    """name -> (array, role, format, clause) of every array of a chain, in order."""
    clause = CLAUSES[case.chain]
    out: dict[str, tuple[np.ndarray, str, str, str]] = {}
    if case.params is not None:
        assert case.inputs is not None
        from vectors.describe import parameter

        for name, array in to_plain(case.params)[1].items():
            out[f"params.{name}"] = (array, "parameter", *parameter(case.params, name))
        out["input.x"] = (case.inputs, "input", str(case.params.fmt_x), "F-3")
    out["input.start"] = (case.start, "input", "acc", clause)
    out["trace.states"] = (case.states, "trace", "acc", clause)
    return out


def unpack_chain(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> ChainCase:
    """The chain of a manifest's entry and the arrays of its files."""
    params = None
    if "params" in entry:
        params = from_plain(
            entry["params"], {n.removeprefix("params."): a for n, a in arrays.items() if n.startswith("params.")}
        )
        if dumps(plain(to_plain(params)[0], "params")) != dumps(entry["params"]):
            raise ParameterError("params", "written in another way than its values are", "the description of the parameter set")
    known = {"input.start", "trace.states", *(["input.x"] if params else [])}
    found = {n for n in arrays if not (params and n.startswith("params."))}
    if found != known:
        raise ParameterError("arrays", f"{sorted(found)}", f"{sorted(known)}")
    texts = {key: entry[key] for key in ("group", "comment", "level")}
    return ChainCase(
        entry["id"],
        entry["chain"],
        entry["constants"],
        entry["steps"],
        entry["every"],
        arrays["input.start"],
        arrays["trace.states"],
        tuple(entry["digests"]),
        params,
        arrays.get("input.x"),
        **texts,
        flags=dict(entry["flags"]),
    )
