"""The page of assurance, made from what stands behind each clause:  python docs/assurance_page.py > docs/assurance.md"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CITED = re.compile(r"\[SPEC ([^\]]+)\]")
ID = re.compile(r"\b[A-Z]{1,2}-\d+\b")
RECORDS = "sweep-*.json"
RATED = 10**8  # codes from which on a rate says more than the time to compile
OF_STAGE = {
    "h": ("Z-1", "Z-2"),
    "h0": ("Q-1",),
    "range of x": ("E-1", "E-2", "E-3", "D-1"),
    "range of h": ("E-2", "E-3", "D-2"),
}
HEAD = """# What stands behind each clause

Made by `docs/assurance_page.py` from the sources, the tests, the vectors of level 1, the recorded proofs and sweeps, and
the pages of coverage and of deviations; a test makes it again and keeps the two equal. A column counts what names the
clause; a step is also behind the clauses of the steps that it calls.

| column | counts | made by |
|---|---|---|
| golden, twin, judge | functions that cite it, in three implementations without shared arithmetic | [house.md](house.md) |
| tests | test modules that cite it; in brackets those with drawn examples | `tox` |
| proofs | obligations that hold for every input | `qgru prove`, [proofs.md](proofs.md) |
| sweeps | codes compared on every input of a step, golden against the twin | `qgru sweep`, [sweeps.md](sweeps.md) |
| vectors | cases of level 1 with an output of the clause, and their numbers | `qgru vectors`, [vectors](../vectors/README.md) |
| coverage | coverpoints of its stages that level 1 hits, of those within reach | `qgru coverage`, [coverage.md](coverage.md) |
| kills | deviations from it that level 1 finds, each datapath by itself | `qgru kill`, [kill.md](kill.md) |
"""
WITHOUT = """An empty cell says that nothing names the clause there, not that nothing tests it: whole problems are drawn and
compared with the judge in every field (`tests/verification/test_twin.py`), and what a set may not hold is refused (the
refusals of level 1 count under F-3). Clauses about what a set may hold or how tables are made have no step of their own; X
says how the source documents are read, and its deviations are those that read them otherwise.
"""
NO_SWEEP = "No sweep is recorded in `benchmarks/results`.\n"


@cache
def clauses() -> dict[str, str]:
    """Clause -> its first words, in the order of the page, from golden/SPEC.md."""
    text = (ROOT / "golden" / "SPEC.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        match = re.match(r"([A-Z](?:-[MP])?)\. ", section)
        assert match is not None
        letter = match[1].replace("-", "")
        body = " ".join(section.split("\n", 1)[1].split())
        for part in re.finditer(rf"(?:- |\. )({letter}-\d+) (.*?)(?=(?:- |\. ){letter}-\d+ |$)", body):
            words = re.split(r"[:;]|\. |, s ≥| = (?=[fs])", part[2])[0].strip()
            words = part[2] if len(words) < 8 else words
            found[part[1]] = words if len(words) <= 72 else words[:72].rsplit(" ", 1)[0] + " ..."
    return found


@cache
def sections() -> dict[str, tuple[str, ...]]:
    """Section -> its clauses: R -> (R-1, ...), G-M -> (GM-1, ...)."""
    out: dict[str, list[str]] = {}
    for clause in clauses():
        letter = clause.split("-")[0]
        out.setdefault(f"{letter[0]}-{letter[1]}" if len(letter) == 2 else letter, []).append(clause)
    return {letter: tuple(ids) for letter, ids in out.items()}


def expanded(text: str) -> list[str]:
    """The clauses of a citation such as "R-1 ... R-4, Z, G-M"."""
    order, found = list(clauses()), []
    for part in re.split(r",\s*", text):
        ends = [e.strip() for e in re.split(r"\.\.\.|…", part)]
        ids = [sections().get(e, (e,) if e in clauses() else ()) for e in ends]
        if len(ids) == 2 and ids[0] and ids[1]:
            found += order[order.index(ids[0][0]) : order.index(ids[1][-1]) + 1]
        else:
            found += [c for group in ids for c in group]
    return list(dict.fromkeys(found))


def cited(docstring: str | None) -> list[str]:
    """The clauses that a docstring cites."""
    return [c for text in CITED.findall(docstring or "") for c in expanded(text)]


def _functions(paths: Iterable[Path]) -> dict[str, int]:
    """Clause -> how many functions cite it."""
    count: dict[str, int] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for clause in dict.fromkeys(cited(ast.get_docstring(node))):
                    count[clause] = count.get(clause, 0) + 1
    return count


def test_modules() -> dict[str, tuple[list[str], bool]]:
    """Test module -> the clauses that its docstrings name, and whether it draws examples."""
    out = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.Module, ast.FunctionDef))]
        found = list(dict.fromkeys(c for n in nodes for c in cited(ast.get_docstring(n))))
        if found:
            order = list(clauses())
            out[path.relative_to(ROOT / "tests").with_suffix("").as_posix()] = (
                sorted(found, key=order.index),
                bool(re.search(r"^ *@given\(", text, flags=re.M)),
            )
    return out


def table_rows(page: str, columns: int) -> Iterator[list[str]]:
    """The cells of every table row of a page under docs that has so many columns."""
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == columns and not set("".join(cells)) <= set("-: "):
            yield cells


def proofs() -> dict[str, list[str]]:
    """Clause -> the obligations about it that hold, from docs/proofs.md and the recorded results."""
    recorded = json.loads((ROOT / "verification" / "proofs" / "results.json").read_text(encoding="utf-8"))["results"]
    holds = {r["name"] for r in recorded if r["result"] == "holds"}
    out: dict[str, list[str]] = {}
    for name, clause, *_ in table_rows("proofs.md", 8):
        if name.strip("`") in holds:
            for c in expanded(clause):
                out.setdefault(c, []).append(name.strip("`"))
    return out


def coverage() -> dict[str, tuple[int, int]]:
    """Clause -> (points hit, points that can be reached), from docs/coverage.md."""
    from golden.spec.layout import FIELDS
    from vectors.steps import STEPS

    out: dict[str, tuple[int, int]] = {}
    for cells in table_rows("coverage.md", 7):
        place, _, name = cells[0].partition("/")
        if not name or not cells[1].isdigit():
            continue
        stage, points, unreachable, hit = name.split(".")[0], *map(int, cells[1:4])
        if place.startswith("step "):
            found = expanded(STEPS[place.removeprefix("step ")].clause)
        elif stage in OF_STAGE:
            found = list(OF_STAGE[stage])
        else:
            fields = [f.clause for f in FIELDS[place] if f.name == stage]
            found = expanded(fields[0]) if fields else expanded("F-3" if stage.startswith("zp_") else "S-1")
        for c in found:
            a, b = out.get(c, (0, 0))
            out[c] = a + hit, b + points - unreachable
    return out


def kills() -> dict[str, tuple[int, int]]:
    """Clause -> (deviations found, deviations), each datapath by itself, from the catalogue and docs/kill.md."""
    from verification.deviations.catalogue import CATALOGUE
    from verification.deviations.deviation import DATAPATHS

    text = (ROOT / "docs" / "kill.md").read_text(encoding="utf-8").partition("\nSurvivors:")[2].partition("\n## ")[0]
    alive = set(re.findall(r"^- `([^`]+)` in (\S+)$", text, flags=re.M))
    out: dict[str, tuple[int, int]] = {}
    for name, deviation in CATALOGUE.items():
        pairs = [(name, d) for d in DATAPATHS if deviation.applies(d)]
        for c in dict.fromkeys(c for text in deviation.clauses for c in expanded(text)):
            a, b = out.get(c, (0, 0))
            out[c] = a + sum(p not in alive for p in pairs), b + len(pairs)
    return out


def sweeps() -> list[tuple[str, Mapping[str, Any]]]:
    """(file, record) of every recorded sweep."""
    return [
        (p.name, json.loads(p.read_text(encoding="utf-8"))) for p in sorted((ROOT / "benchmarks" / "results").glob(RECORDS))
    ]


def vector_counts() -> dict[str, tuple[int, int]]:
    """Clause -> (cases of level 1 with an output of it, their numbers), from the metadata of the arrays."""
    from vectors.generate import make, planned
    from vectors.kinds import pack_case

    out: dict[str, tuple[int, int]] = {}
    for case in make(planned(1), 0):
        entry, arrays = pack_case(case)
        mine: dict[str, int] = {}
        for name, about in entry["arrays"].items():
            if about["role"] in ("trace", "state") or entry["kind"] == "error":
                for c in expanded(about["clause"]):
                    mine[c] = mine.get(c, 0) + arrays[name].size
        for c, numbers in mine.items():
            a, b = out.get(c, (0, 0))
            out[c] = a + 1, b + numbers
    return out


def grouped(number: int) -> str:
    """1234567 as 1 234 567."""
    return f"{number:,}".replace(",", " ")


def page(vectors: Mapping[str, tuple[int, int]]) -> str:
    """The whole page as Markdown.

    vectors  what vector_counts gives
    """
    folders = ("golden", "cuda_impl", "verification/exact")
    implementations = [_functions(sorted((ROOT / f).rglob("*.py"))) for f in folders]
    modules, proved, covered, killed, records = test_modules(), proofs(), coverage(), kills(), sweeps()
    swept: dict[str, int] = {}
    for _, record in records:
        for row in record["steps"]:
            for c in expanded(row["clause"]):
                swept[c] = swept.get(c, 0) + row["compared"]
    lines = [HEAD, "## The clauses", ""]
    names = ("clause", "says", "golden", "twin", "judge", "tests", "proofs", "sweeps", "vectors", "coverage", "kills")
    lines += [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    bare: dict[str, list[str]] = {}
    for clause, words in clauses().items():
        tests = [drawn for found, drawn in modules.values() if clause in found]
        cells = {
            "golden": implementations[0].get(clause, 0),
            "twin": implementations[1].get(clause, 0),
            "judge": implementations[2].get(clause, 0),
            "tests": f"{len(tests)} ({sum(tests)})" if tests else "",
            "proofs": len(proved.get(clause, [])),
            "sweeps": grouped(swept.get(clause, 0)),
            "vectors": " / ".join(map(grouped, vectors[clause])) if clause in vectors else "",
            "coverage": f"{covered[clause][0]} of {covered[clause][1]}" if clause in covered else "",
            "kills": f"{killed[clause][0]} of {killed[clause][1]}" if clause in killed else "",
        }
        shown = {k: "" if str(v) == "0" else str(v) for k, v in cells.items()}
        for name, text in shown.items():
            if not text:
                bare.setdefault(name, []).append(clause)
        lines.append(f"| {clause} | {words.replace('|', chr(92) + '|')} | {' | '.join(shown.values())} |")
    lines += ["", "## What is not there", "", *_bare(bare), "", "## Sweeps", "", *_sweeps(records)]
    lines += ["## Tests", "", "Which clauses the test modules name; * draws examples.", "", "| module | clauses |", "|---|---|"]
    lines += [f"| `{name}`{' *' if drawn else ''} | {_runs(found)} |" for name, (found, drawn) in modules.items()]
    return "\n".join([*lines, ""])


def _runs(found: list[str]) -> str:
    """Clauses with neighbours joined: R-1 ... R-4."""
    order, out = list(clauses()), list[list[str]]()
    for clause in found:
        if out and order.index(clause) == order.index(out[-1][-1]) + 1 and clause.split("-")[0] == out[-1][0].split("-")[0]:
            out[-1].append(clause)
        else:
            out.append([clause])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}{', ' if len(run) == 2 else ' ... '}{run[-1]}" for run in out)


def _bare(bare: Mapping[str, list[str]]) -> list[str]:
    return [WITHOUT] + [f"- {name}: {_runs(ids)}" for name, ids in bare.items()]


def _sweeps(records: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    if not records:
        return [NO_SWEEP]
    lines = []
    for name, record in records:
        machine = record["machine"]
        kinds = ("python", "numpy", "numba", "numba-cuda", "cupy-cuda13x")
        versions = ", ".join(f"{k} {machine[k]}" for k in kinds if machine.get(k))
        total = f"{grouped(record['compared'])} codes compared, **{grouped(record['mismatches'])} mismatches**"
        total += f", {record['rate']:.2e} a second in all" if record.get("rate") else ""
        state = "" if record["complete"] else " The plan was not finished in that run."
        lines += [f"`benchmarks/results/{name}`: {machine['device']}, {versions}: {total}.{state}", ""]
        lines += [
            "| step | clause | parameter sets | whole | inputs each | codes compared | mismatches | a second of a process |"
        ]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for row in record["steps"]:
            rate = f"{row['rate']:.2e}" if row["rate"] and row["compared"] >= RATED else ""
            cells = [row["step"], row["clause"], row["sweeps"], row["whole"], grouped(row["size"]), grouped(row["compared"])]
            lines.append("| " + " | ".join(map(str, [*cells, row["mismatches"], rate])) + " |")
        lines.append("")
    return lines


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.stdout.write(page(vector_counts()))
