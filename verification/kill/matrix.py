"""The whole matrix: every deviation in every datapath that can have it, against every case of a vector set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from golden.spec.errors import ParameterError
from vectors.case import Case
from vectors.chain_case import ChainCase
from vectors.kinds import AnyCase
from vectors.reader import VectorSet, open_set
from vectors.step_case import StepCase
from verification.deviations.catalogue import CATALOGUE, of_datapath
from verification.deviations.deviation import DATAPATHS
from verification.kill.chains import found_by_chain
from verification.kill.runs import found_by_run
from verification.kill.steps import found_by_step
from verification.worker import workers

Pair = tuple[str, str]
"""A deviation's name and a datapath that can have it."""
CHUNK = 12


@dataclass(frozen=True)
class Matrix:
    """Which case finds which deviation.

    pairs   every deviation, once for each datapath that can have it
    found   case id -> the pairs that it finds; cases that find nothing are there too
    """

    pairs: tuple[Pair, ...]
    found: Mapping[str, frozenset[Pair]]

    @property
    def killed(self) -> frozenset[Pair]:
        """The pairs that some case finds."""
        return frozenset().union(*self.found.values())

    @property
    def survivors(self) -> tuple[Pair, ...]:
        """The pairs that no case finds, in order."""
        killed = self.killed
        return tuple(p for p in self.pairs if p not in killed)

    def by(self, pair: Pair) -> list[str]:
        """The cases that find a pair."""
        return [id for id, pairs in self.found.items() if pair in pairs]


def pairs_of(only: str | None = None) -> tuple[Pair, ...]:
    """Every deviation in every datapath that can have it.

    only    a name of the catalogue, or a base name for all its places; None for all
    Raises  ParameterError for an unknown name
    """
    if only is not None and not any(only in (d.name, d.base) for d in CATALOGUE.values()):
        raise ParameterError("--only", repr(only), "the name of a deviation, with its place or without")
    return tuple((d.name, k) for k in DATAPATHS for d in of_datapath(k) if only in (None, d.name, d.base))


def found_by(case: AnyCase, pairs: Iterable[Pair]) -> frozenset[Pair]:
    """The pairs that a case finds; one that must be refused finds none, for deviations are about what is computed."""
    wanted: dict[str, list[str]] = {}
    for name, datapath in pairs:
        wanted.setdefault(datapath, []).append(name)
    found: set[Pair] = set()
    for datapath, names in wanted.items():
        candidates = [CATALOGUE[name] for name in names]
        if isinstance(case, Case):
            names = found_by_run(case, candidates) if case.params.datapath == datapath else []
        elif isinstance(case, StepCase):
            names = found_by_step(case, candidates, datapath)
        else:
            names = found_by_chain(case, candidates, datapath) if isinstance(case, ChainCase) else []
        found |= {(name, datapath) for name in names}
    return frozenset(found)


@cache
def _opened(path: str) -> VectorSet:
    return open_set(path)


def _chunk(path: str, ids: list[str], only: str | None) -> list[tuple[str, frozenset[Pair]]]:
    cases, pairs = _opened(path), pairs_of(only)
    return [(id, found_by(cases[id], pairs)) for id in ids]


def _chunks(cases: VectorSet) -> Iterator[list[str]]:
    """Ids of a few cases each, the slow ones first."""
    ids = [id for kind in ("chain", "sequence", "step", "error") for id in reversed(cases.ids(kind))]
    yield from (ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK))


def matrix(
    path: str | Path, only: str | None = None, *, processes: int | None = None, advance: Callable[[int], None] | None = None
) -> Matrix:
    """Hold every deviation against every case of a vector set.

    path       a folder that holds a canonical set
    only       as in pairs_of
    processes  how many; None for one on each core
    advance    called with the number of cases done
    Raises     VectorError for a damaged set; ParameterError for a case whose numbers are not those of the clauses
    """
    cases, pairs = open_set(path), pairs_of(only)
    done: dict[str, frozenset[Pair]] = {}
    count = processes or os.cpu_count() or 1
    if count == 1:
        for ids in _chunks(cases):
            done.update(_chunk(str(path), ids, only))
            if advance is not None:
                advance(len(ids))
    else:
        with workers(count) as pool:
            jobs = [pool.submit(_chunk, str(path), ids, only) for ids in _chunks(cases)]
            for job in as_completed(jobs):
                done.update(job.result())
                if advance is not None:
                    advance(len(job.result()))
    return Matrix(pairs, {id: done[id] for id in cases})


def sizes(cases: VectorSet) -> dict[str, int]:
    """Case id -> how many numbers a simulation of it goes through: elements of its arrays, or the steps of a chain."""
    out = {}
    for entry in cases.manifest["cases"]:
        elements = sum(prod(array["shape"]) for array in entry["arrays"].values())
        out[entry["id"]] = max(elements, entry.get("steps", 0))
    return out
