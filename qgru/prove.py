"""qgru prove: the twin's source against the clauses, for all inputs, by an SMT solver."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from qgru.files import atomic_file, atomic_folder, check_file
from qgru.options import Seconds, refuse_unused
from qgru.progress import progress
from qgru.run import EXACT, MISMATCH, REFUSED, complain, need, print_json, refusal

MAX_SHIFT = 4096
SHOWN = 6  # names


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--timeout", type=Seconds(min=0.001), help="Seconds for a query.  [default: each its own, mostly 60]")
@click.option("--smtlib", type=click.Path(path_type=Path), help="Also write every query to this new folder, as SMT-LIB 2.")
@click.option("--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option(
    "--record", type=click.Path(path_type=Path), help="Also write the results with the digests of the sources to this file."
)
@click.option("--at", help="Replay: run the twin's function of the one NAME and the judge on these arguments, a JSON list.")
@click.option("--list", "listed", is_flag=True, help="Only list the obligations.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout instead of text.")
def command(
    names: tuple[str, ...],
    timeout: float | None,
    smtlib: Path | None,
    jobs: int,
    record: Path | None,
    at: str | None,
    listed: bool,
    as_json: bool,
) -> int:
    """Prove that each step of the twin is its clause, for every input within the parameter bounds.

    NAME is an obligation, as --list shows them; all of them when none is given. Each one holds, is unknown (the queries that
    no answer came to in time are named), or has a counterexample, which is printed with the command that replays it.

    Exit code 0: all hold; 1: one has a counterexample; 2: none has, but some are unknown.
    """
    proving = {"timeout": "--timeout", "smtlib": "--smtlib", "jobs": "--jobs", "record": "--record"}
    if at is not None:
        refuse_unused({"listed": "--list", **proving}, "with --at", "it only without")
    if listed:
        refuse_unused(proving, "with --list", "it only without")
    need("z3")
    from verification.proofs.registry import chosen

    obligations = chosen(names)
    if at is not None:
        return _replay(names, at, as_json)
    if listed:
        rows = [{"name": o.name, "clause": o.clause, "statement": o.statement, "queries": len(o.cases)} for o in obligations]
        if as_json:
            print_json({"command": "prove", "obligations": rows})
        else:
            for row in rows:
                click.echo(f"{row['name']}  [{row['clause']}]  {row['statement']}")
        return EXACT
    if record is not None:
        check_file(record)
    if smtlib is not None:
        _write(smtlib, obligations)
    results = []
    with progress("proofs", len(obligations)) as advance, _each(obligations, timeout, jobs) as found:
        for result in found:
            results.append(result)
            advance(1)
            if not as_json:
                _show(result)
    import z3

    whole = {"command": "prove", "z3": z3.get_version_string(), "results": results}
    if record is not None:
        with atomic_file(record) as file:
            json.dump({k: v for k, v in whole.items() if k != "command"}, file, indent=1, sort_keys=True)
            file.write("\n")
    if as_json:
        print_json(whole)
    else:
        counts = {v: sum(r["result"] == v for r in results) for v in ("holds", "unknown", "counterexample")}
        queries = sum(r["queries"] for r in results)
        click.echo(f"{len(results)} obligations, {queries} queries: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
    return _verdict(results)


def _verdict(results: list[dict[str, Any]]) -> int:
    """0 only when everything holds; what no answer came to is not proven, and not refuted either."""
    if any(r["result"] == "counterexample" for r in results):
        return MISMATCH
    unknown = [r["name"] for r in results if r["result"] != "holds"]
    if not unknown:
        return EXACT
    names = ", ".join(unknown[:SHOWN]) + (f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else "")
    complain(f"{len(unknown)} of {len(results)} obligations are unknown ({names}), expected an answer; see --timeout")
    return REFUSED


@contextmanager
def _each(obligations: list[Any], timeout: float | None, jobs: int) -> Iterator[Iterator[dict[str, Any]]]:
    """The results in the order of the obligations."""
    names = [o.name for o in obligations]
    if jobs == 1:
        yield (prove_one(name, timeout) for name in names)
        return
    from verification.worker import workers

    with workers(jobs) as pool:  # its map would cancel futures
        futures = [pool.submit(prove_one, name, timeout) for name in names]
        yield (future.result() for future in futures)


def prove_one(name: str, timeout: float | None) -> dict[str, Any]:
    """The result of one obligation, with the digests of what was proven."""
    from verification.proofs.registry import registry, statement_digest
    from verification.proofs.solve import prove

    *_, last = prove(registry()[name], timeout=timeout)
    return {**last.plain(), "statement": statement_digest(name)}


def _show(result: dict[str, Any]) -> None:
    click.echo(f"{result['result']:<15}{result['name']}  ({result['queries']} queries, {result['seconds']} s)")
    for query in result["unknown"]:
        click.echo(f"    no answer: {query}")
    example = result["counterexample"]
    if example is None:
        return
    click.echo(f"    query: {example['query']}")
    for label in example["failed"]:
        click.echo(f"    fails: {label}")
    for name, value in example["inputs"].items():
        click.echo(f"    {name} = {value}")
    if "arguments" in example:
        click.echo(f"    twin:  {example['twin']}\n    judge: {example['judge']}")
        click.echo(f"    replay: qgru prove {result['name']} --at '{json.dumps(example['arguments'])}'")


def _replay(names: tuple[str, ...], at: str, as_json: bool) -> int:
    from verification.proofs.registry import registry
    from verification.proofs.replay import replay

    if len(names) != 1:
        raise refusal(f"--at is given with {len(names)} names, expected exactly one")
    obligation = registry()[names[0]]
    if obligation.judge is None:
        raise refusal(f"{names[0]} has no function of the twin to replay, expected an obligation about one")
    try:
        arguments = json.loads(at)
    except (ValueError, RecursionError) as error:
        raise refusal(f"--at is {at!r}, expected a JSON list of the arguments ({error})") from None
    if not isinstance(arguments, list) or not all(_is_argument(a) for a in arguments):
        raise refusal(
            f'--at is {at!r}, expected a JSON list of integers, arrays, and binary32 numbers as bits such as "0x3f800000"'
        )
    _check_shifts(obligation.function, arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            played = replay(obligation, arguments)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise refusal(f"--at does not fit {obligation.function}: {error}") from None
    if as_json:
        print_json({"command": "prove", "name": names[0], **played})
    else:
        click.echo(f"twin:  {played['twin']}\njudge: {played['judge']}\n{'differs' if played['differs'] else 'equal'}")
    return MISMATCH if played["differs"] else EXACT


def _check_shifts(function: str, arguments: list[Any]) -> None:
    """Refuse shifts and exponents that the judge, which has whole numbers of any size, would need all memory for."""
    from verification.proofs.source import Twin

    for name, value in zip(inspect.signature(Twin().callable(function)).parameters, arguments):
        scalar = name in ("s", "shift", "exponent") or name.startswith(("s_", "e_"))
        rows = value if name in ("ops", "pre_op") and isinstance(value, list) else []
        shifts = [value] if scalar else [row[0] for row in rows if isinstance(row, list) and row]
        for shift in shifts:
            if isinstance(shift, int) and not -MAX_SHIFT <= shift <= MAX_SHIFT:
                raise refusal(f"--at {name} is {shift}, expected a shift in [-{MAX_SHIFT}, {MAX_SHIFT}]")


def _is_argument(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_argument(v) for v in value) and len({isinstance(v, str) for v in value}) < 2
    if isinstance(value, str):
        digits = value.removeprefix("0x")
        return value.startswith("0x") and len(digits) == 8 and all(c in "0123456789abcdef" for c in digits)
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _write(path: Path, obligations: list[Any]) -> None:
    from verification.proofs.solve import smtlib
    from verification.proofs.source import Twin

    twin, index = Twin(), []
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with progress("smtlib", sum(len(o.cases) for o in obligations)) as advance, atomic_folder(path) as folder:
        for o in obligations:
            for i, query in enumerate(o.cases):
                name = f"{o.name}.{i:03d}.smt2"
                (folder / name).write_text(smtlib(o, query, o.case(query, twin)), encoding="utf-8")
                index.append(
                    {"file": name, "name": o.name, "clause": o.clause, "query": query, "logic": o.logic, "expected": "unsat"}
                )
                advance(1)
        (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
