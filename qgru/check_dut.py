"""qgru check --dut: an implementation of any kind against a vector set, or against level 1 of the generator."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, print_json, refusal
from qgru.show import grouped, print_table

SHOWN_RUNS, SHOWN_OTHERS = 4, 6  # reports; those of runs are diagnosed, which may take some seconds each


def check_dut(
    spec: str, vectors: Path | None, ids: tuple[str, ...], timeout: float, strict: bool, as_json: bool, chains: bool = True
) -> int:
    """Run the cases on the device and show what came out.

    spec     as verification.dut.device.resolve takes it
    vectors  a folder, or None for the built-in set
    ids      only these cases
    strict   whether a case that is not run counts as a failure
    chains   whether chains are run; those that are named in ids always are
    Returns  0 when everything that ran is equal, 1 otherwise; refused when nothing ran at all
    """
    from golden.spec.errors import ParameterError
    from verification.dut.builtin import Builtin
    from verification.dut.device import TIMEOUT_SECONDS, resolve
    from verification.dut.examine import Outcome, check

    cases: Any = Builtin(chains or bool(ids)) if vectors is None else _opened(vectors)
    identity = {} if vectors is None else {"sha256": cases.sha256}
    for id in ids:
        if id not in cases:
            raise ParameterError("--case", repr(id), "a case of the set")
    left_out = () if chains or vectors is None else cases.ids("chain")
    chosen = tuple(dict.fromkeys(ids)) or tuple(id for id in cases if id not in left_out)
    outcomes: list[Outcome] = []
    with resolve(spec, timeout) as device, progress("check", len(chosen)) as advance:
        name = device.capabilities.name or spec
        for outcome in check(device, _read(cases, chosen, device.capabilities)):
            outcomes.append(outcome)
            advance(1)
    failed = [o for o in outcomes if o.failed]
    passed = [o for o in outcomes if o.passed]
    skipped = [o for o in outcomes if not o.failed and not o.passed]
    if not passed and not failed:
        raise refusal(f"{spec} ran none of the {len(outcomes)} cases ({skipped[0].detail}), expected at least one")
    equal = not failed and not (strict and skipped)
    compared, wrong = sum(o.compared for o in outcomes), sum(o.mismatches for o in outcomes)
    if as_json:
        plain = {"command": "check", "dut": spec, "equal": equal, "compared": compared, "mismatches": wrong}
        counts = {"passed": len(passed), "failed": len(failed), "not_run": len(skipped)}
        print_json({**plain, **counts, "vectors": identity, "cases": [_row(o) for o in outcomes]})
    else:
        _show(outcomes)
        click.echo(
            f"{grouped(compared)} numbers compared, {wrong} mismatches; "
            f"{len(passed)} cases equal, {len(failed)} failed, {len(skipped)} not run"
        )
    where = "" if vectors is None else f" {shlex.quote(str(vectors))}"
    where += "" if timeout == TIMEOUT_SECONDS else f" --timeout {timeout:.15g}"
    shown = _shown(failed)
    for outcome in shown:
        click.echo(outcome.report(name, f"qgru check --dut {shlex.quote(spec)}{where} --case {outcome.case.id}"), err=True)
    if len(failed) > len(shown):
        click.echo(f"and {len(failed) - len(shown)} more cases that failed", err=True)
    return EXACT if equal else MISMATCH


def _shown(failed: list[Any]) -> list[Any]:
    """The failures that are reported, in order: the first steps, and the first runs, whatever failed before them."""
    runs = [o for o in failed if o.case.kind == "sequence"]
    others = [o for o in failed if o.case.kind != "sequence"]
    few = SHOWN_RUNS + SHOWN_OTHERS
    kept = runs[: max(SHOWN_RUNS, few - len(others))][:few] + others[: max(SHOWN_OTHERS, few - len(runs))][:few]
    chosen = {id(o) for o in kept}
    return [o for o in failed if id(o) in chosen]


def _opened(vectors: Path) -> Any:
    from vectors.reader import open_set

    return open_set(vectors)


def _read(cases: Mapping[str, Any], ids: tuple[str, ...], capabilities: Any) -> Iterator[Any]:
    """The cases; a built-in chain that the device does not declare is not made, which would take seconds."""
    from verification.dut.builtin import CHAINS, Builtin
    from verification.dut.chain import chain_of, missing
    from verification.dut.examine import Unmade

    for id in ids:
        left_out = isinstance(cases, Builtin) and id.startswith(CHAINS) and missing(chain_of(id), capabilities)
        yield Unmade(id, "chains", "chain", left_out) if left_out else cases[id]


def _row(outcome: Any) -> dict[str, Any]:
    row = {"case": outcome.case.id, "kind": outcome.case.kind, "outcome": outcome.outcome, "detail": outcome.detail}
    return {**row, "compared": outcome.compared, "mismatches": outcome.mismatches, "fields": list(outcome.fields)}


def _show(outcomes: list[Any]) -> None:
    """A line for each group of cases and outcome, and one for each case that failed."""
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for o in outcomes:
        case = "" if not o.failed else o.case.id
        groups.setdefault((o.case.group, o.outcome, case), []).append(o)
    header = ("group", "outcome", "case", "cases", "numbers compared", "differ")
    rows = []
    for key, found in groups.items():
        numbers = len(found), sum(o.compared for o in found), sum(o.mismatches for o in found)
        rows.append((*key, *map(grouped, numbers)))
    print_table(header, rows, left=3)
    reasons: dict[str, int] = {}
    for o in outcomes:
        if not o.failed and not o.passed:
            reasons[o.detail] = reasons.get(o.detail, 0) + 1
    for reason, count in reasons.items():
        click.echo(f"not run, {count} cases: {reason}")
