"""The linter of a set: every file read, every flag recomputed, every value asked of golden again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from golden.sequence import forward
from golden.spec.errors import QgruError
from vectors.case import Case
from vectors.chain_case import ChainCase
from vectors.error_case import ErrorCase, named
from vectors.errors import located
from vectors.files import MANIFEST
from vectors.flags import case_flags
from vectors.kinds import AnyCase
from vectors.minimum import missing_rows
from vectors.notes import notes
from vectors.reader import VectorSet, open_set
from vectors.step_case import StepCase
from vectors.steps import run_step

_STATE = ("s_h", "zp_h", "h_min", "h_max", "steps", "x_min", "x_max", "s_b")


def lint(path: str | os.PathLike[str], form: str = "npz", advance: Callable[[int], None] | None = None) -> Iterator[str]:
    """A sentence for everything that golden or the flags say otherwise; nothing when the set is good.

    path    a set of any format
    advance called with 1 after each case
    Raises  VectorError when a file is damaged: schema, hash, canonical form, content
    """
    opened = open_set(path, form)
    yield from stray_files(opened)
    yield from (f"{MANIFEST}: {text}" for text in missing_rows(opened.manifest))
    for id in opened:
        yield from lint_case(opened[id])
        if advance is not None:
            advance(1)


def stray_files(opened: VectorSet) -> Iterator[str]:
    """Files in the folder that the manifest does not list; the other formats of a canonical set may be there."""
    known = {MANIFEST, *opened.manifest["files"]}
    folders = {name.partition("/")[0] for name in known if "/" in name}
    for name in sorted(os.listdir(opened.path)):
        inner = [f"{name}/{leaf}" for leaf in sorted(os.listdir(opened.path / name))] if name in folders else [name]
        for found in inner:
            if found not in known and not (opened.form == "npz" and (opened.path / found / MANIFEST).is_file()):
                yield f"{found}: the file is in the folder, expected only files that the manifest lists"


def lint_case(case: AnyCase) -> Iterator[str]:
    """A sentence for each flag and each array of a case that is not what it should be."""
    yield from (f"{case.id}: {text}" for text in _flags(case))
    try:
        yield from (f"{case.id}: {text}" for text in _REPLAY[case.kind](case))
    except QgruError as error:
        raise located(case.id, error) from error


def _flags(case: Any) -> Iterator[str]:
    if isinstance(case, (ChainCase, ErrorCase)):
        wanted = {"long_chain": case.steps} if isinstance(case, ChainCase) else {"must_be_refused": 1}
    else:
        wanted = case_flags(case)
    explained = notes()
    for name in sorted({*wanted, *(flag for flag in case.flags if flag in explained)}):
        if case.flags.get(name, 0) != wanted.get(name, 0):
            yield f"flag {name} is {case.flags.get(name, 0)}, expected {wanted.get(name, 0)} by the numbers of the case"


def _differs(name: str, got: Any, expected: Any) -> Iterator[str]:
    """One sentence where golden gives another array than the recorded one."""
    a, b = np.asarray(got), np.asarray(expected)
    if a.shape != b.shape or a.dtype != b.dtype:
        yield f"{name} is {b.dtype} {list(b.shape)}, expected {a.dtype} {list(a.shape)} as golden gives"
        return
    bits = (a.view(np.uint32), b.view(np.uint32)) if a.dtype == np.float32 else (a, b)
    wrong = np.argwhere(np.atleast_1d(bits[0] != bits[1]))
    if wrong.size:
        index = tuple(int(i) for i in wrong[0]) if a.ndim else ()
        yield f"{name}{list(index)} is {b[index]}, expected {a[index]} as golden gives"


def _sequence(case: Case) -> Iterator[str]:
    trace = forward(case.params, case.x, case.h0, **case.options)
    for name in case.trace:
        yield from _differs(f"trace.{name}", trace[name], case.trace[name])
    if trace.state is not None and case.trace.state is not None:
        yield from _differs("state.h", trace.state.h, case.trace.state.h)
        for name in _STATE:
            wanted, found = getattr(trace.state, name), getattr(case.trace.state, name)
            if repr(wanted) != repr(found):
                yield f"state.{name} is {found!r}, expected {wanted!r} as golden gives"


def _step(case: StepCase) -> Iterator[str]:
    for name, wanted in run_step(case.step, case.constants, case.inputs, case.table).items():
        yield from _differs(f"output.{name}", wanted, case.outputs[name])


def _chain(case: ChainCase) -> Iterator[str]:
    states, digests = case.replay()
    yield from _differs("trace.states", states, case.states)
    for block, (wanted, found) in enumerate(zip(digests, case.digests, strict=True)):
        if wanted != found:
            yield f"the digest of block {block} is {found}, expected {wanted} as golden gives"
            return


def _error(case: ErrorCase) -> Iterator[str]:
    found = case.refusal()
    if found is None:
        yield f"golden takes it, expected a {case.error} that names {case.field}"
    elif (type(found).__name__, *named(found)) != (case.error, case.field, case.at):
        yield f"the refusal is '{found}', expected a {case.error} that names {case.field}"


_REPLAY: dict[str, Callable[[Any], Iterator[str]]] = {"sequence": _sequence, "step": _step, "chain": _chain, "error": _error}
