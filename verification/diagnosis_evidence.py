"""What an implementation recorded, held against what the clauses and the deviations compute from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.spec.errors import ParameterError, QgruError
from golden.spec.layout import field_shape
from golden.spec.trace import Trace
from verification.deviations.deviation import Deviation
from verification.deviations.environment import Block, Run, cut
from verification.deviations.evaluate import Names, affected, predict

Array = np.ndarray
Deviations = tuple[Deviation, ...]
MOST = 6  # times, and rows, of the block that candidates have to pass first


def recorded(run: Run, got: Trace | Mapping[str, Any] | Array) -> dict[str, Array]:
    """The recorded fields by name: h split into "h0" [N,H] and "h" [T,N,H], integers as int64.

    got     a Trace, a mapping from field names to arrays, or h alone; h is [T+1,N,H], or [T,N,H] without the initial state
    Raises  ParameterError for a missing h, an unknown field, another shape, or reals where codes belong
    """
    given: dict[str, Any] = dict(got) if isinstance(got, Mapping) else {"h": got}
    if "h" not in given:
        raise ParameterError("got", "without h", "at least the states h [T+1,N,H] or the outputs h [T,N,H]")
    axes = run.axes()
    unknown = sorted(set(given) - set(axes) | ({"h0"} & set(given)))
    if unknown:
        raise ParameterError("got", f"an array {unknown[0]}", "fields of such a run")
    steps, batch, inputs = run.x.shape
    sizes = {"steps": steps, "batch": batch, "inputs": inputs, "hidden": run.params.hidden_size}
    out: dict[str, Array] = {}
    for name in given:
        array = np.asarray(given[name])
        wanted = field_shape(axes[name], **sizes)
        states = field_shape("SNH", **sizes)
        if array.shape != wanted and not (name == "h" and array.shape == states):
            raise ParameterError(f"got {name}", f"an array of shape {list(array.shape)}", f"shape {list(wanted)}")
        real = _is_real(run, name)
        if array.dtype.kind != "f" if real else array.dtype.kind not in "iu":
            raise ParameterError(f"got {name}", f"an array of {array.dtype}", "float32" if real else "integers")
        array = array.astype(np.float32 if real else np.int64)
        if name == "h" and array.shape == states:
            out["h0"], array = array[0], array[1:]
        out[name] = array
    return out


REAL = ("s_w", "s_r", "s_b", "x_min", "x_max", "s_x", "h_min", "h_max", "s_h")


def _is_real(run: Run, name: str) -> bool:
    return run.dynamic and name in REAL


def bits(values: Any) -> Array:
    """Numbers to compare: binary32 by its pattern."""
    array = np.asarray(values)
    return array.view(np.uint32).astype(np.int64) if array.dtype == np.float32 else array


def same(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same numbers."""
    return np.array_equal(bits(a), bits(b))


@dataclass(eq=False)
class Evidence:
    """A run and what was recorded of it.

    known  the recorded fields
    base   what the clauses compute from the recorded fields, for all fields
    roots  field -> where the clauses compute something else from the recorded operands; nowhere: not in here
    """

    run: Run
    known: dict[str, Array]
    base: dict[str, Array] = field(init=False)
    roots: dict[str, Array] = field(init=False)
    block: Block = field(init=False)
    tried: int = field(init=False, default=0)
    _names: dict[Any, Names] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        axes = self.run.axes()
        self.base = dict(predict(self.run, (), self.known, {}, frozenset(axes), self.run.whole))
        self.roots = {}
        for name, values in self.known.items():
            differs = np.asarray(bits(self.base[name]) != bits(values))
            if differs.any():
                self.roots[name] = differs
        self.block = self._sample()

    def _sample(self) -> Block:
        """Times and rows with differences, and the first and last ones."""
        steps, batch = self.run.x.shape[:2]
        axes = self.run.axes()
        times, rows = [0, steps - 1][: min(steps, 2)], [0, batch - 1]
        for name, mask in self.roots.items():
            letters = axes[name]
            if letters.startswith("T"):
                at = np.flatnonzero(mask.reshape(steps, -1).any(axis=1)).tolist()
                times += [at[i * (len(at) - 1) // 2] for i in range(3)]
            if letters.startswith("TN"):
                on = np.flatnonzero(np.moveaxis(mask, 1, 0).reshape(batch, -1).any(axis=1)).tolist()
                rows += [on[i * (len(on) - 1) // 2] for i in range(3)]
        return Block(_few(times), _few(rows))

    def names(self, deviations: Deviations) -> Names:
        """The fields that deviations can change."""
        key = frozenset(f for d in deviations for f in d.fields.get(self.run.params.datapath, ()))
        if key not in self._names:
            self._names[key] = affected(self.run, deviations, self.known)
        return self._names[key]

    def explains(self, deviations: Deviations, block: Block | None = None) -> bool:
        """Whether an implementation with these deviations records exactly this, at the block."""
        names = self.names(deviations)
        if not set(self.roots) <= names:
            return False
        block = self.run.whole if block is None else block
        return all(right for _, right, _ in self.outcomes(deviations, names, block))

    def outcomes(self, deviations: Deviations, names: Names, block: Block) -> Any:
        """(field, whether the recorded numbers come out, how many do) for each recorded field that is affected."""
        self.tried += 1
        axes = self.run.axes()
        whole = self.run.whole
        try:
            with np.errstate(all="ignore"):
                for name, values in predict(self.run, deviations, self.known, self.base, names, block):
                    if name not in self.known:
                        continue
                    at = block if np.shape(values) != self.known[name].shape else whole
                    wanted = cut(self.known[name], axes[name], at)
                    if np.shape(values) != wanted.shape:
                        values = np.broadcast_to(values, wanted.shape)
                    count = int(np.count_nonzero(bits(values) == bits(wanted)))
                    yield name, count == wanted.size, count
        except (QgruError, OverflowError, ZeroDivisionError):
            yield "h", False, 0

    def settled(self, deviations: Deviations) -> bool:
        """Whether they explain the block, and then everything."""
        return self.explains(deviations, self.block) and self.explains(deviations)


def _few(indices: list[int]) -> Array:
    """At most MOST different indices, those that came first preferred."""
    return np.array(sorted(list(dict.fromkeys(indices))[:MOST]), np.int64)
