"""The page of proofs, made from the recorded results:  python docs/proofs_page.py > docs/proofs.md"""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = """# What is proven

Made by `docs/proofs_page.py` from `verification/proofs/results.json`, which `qgru prove --record FILE` writes; tests
keep the page
equal to the results, and the results to the present sources.

Tests and sweeps see the inputs that someone thought of. These proofs hold for every input within the parameter bounds: an SMT
solver (z3) is given the twin's own source and the clauses, and is asked for an input on which they differ. There is none
where the answer is `unsat`.

```
qgru prove
qgru prove requantize mshift_cell --timeout 20
qgru prove --list
qgru prove --smtlib smt --jobs 2
qgru prove requantize --at "[3, 5, 1, 0, -128, 127]"
```

It needs `pip install "qgru[proofs]"`. An obligation holds, is unknown (the queries without an answer are named), or has a
counterexample: the inputs, what fails, what the twin and the judge give, and the command that replays it; the exit code is
then 1, and 2 where something is unknown.

## How

- **The code.** `verification/proofs/machine.py` reads the syntax trees of the functions in `cuda_impl` and runs them on
  terms: both branches of an `if`, loops, tuples, arrays, calls. What is proven is the source that runs, not a model of it.
- **Two kinds of numbers.** Roundings, table indices and floats are 64-bit words that wrap as compiled code does, and
  IEEE floats.
  Steps with products are mathematical integers. In both, each `+`, `-`, `*` and `<<` adds the goal that its exact result
  stays in int64 (an int32 accumulator: in int32), so "nothing leaves int64" is part of each statement, and where it holds the
  two are the same. Integer types are those of Numba: a product of two int32 is an int64.
- **The clauses** are written from [golden/SPEC.md](../golden/SPEC.md) over mathematical integers or 160-bit words, from
  neither golden nor the twin. A rounding stands as what defines it: q is floor(a / 2^s) where q * 2^s <= a < (q + 1) * 2^s.
- **Shifts.** The roundings are proven for each shift from -63 to 63 by itself, and for all beyond by the lemmas `far_*`.
  Above them a rounding is an unknown function of number and shift, of which only the proven lemmas are known (`shrinks`,
  `reach`), so one proof holds for every combination of shifts. A step that calls another one is proven with the other's
  clause in its place, together with the goal that the other's hypothesis holds there; the column "rests on" names what it
  takes from elsewhere.
- **The parameter check** is the hypothesis, in the words of the page: L-2, M-3, GM-3, and the magnitudes of datapath P added
  up.
- **Counterexamples** are looked for with the roundings written out, so that their inputs are real, and run through the twin's
  plain Python function and the judge. The tests plant faults in the twin's source and see the proof fail and the
  counterexample replay.

The files that `--smtlib` writes are SMT-LIB 2, one a query, each with the answer it should have: any solver can be run on
them. cvc5 1.0.3 gives `unsat` on {CVC5} of the {QUERIES} queries (20 seconds each), and no answer to `extremes` of four
values in that time.

## Not proven

- `cuda_impl/fast` and the GPU's own instructions: the property tests and the runs on hardware compare them.
- Products longer than 18, by the solver; the induction over the summands is `partial_sum`.
- What makes parameters in plain Python with fractions: `normalized`, `derive_mshifts`, E-4, the makers of tables.
- The loops of moving ranges around the steps (D-1, D-3), but for what `split_run` says of them.
- That Numba and LLVM compile the source as it reads.
"""

CVC5 = 1503  # all but extremes of four values, counted by hand


def page() -> str:
    """The whole page as Markdown."""
    from verification.proofs.registry import registry
    from verification.proofs.results import recorded

    whole = recorded()
    results = {r["name"]: r for r in whole["results"]}
    queries = sum(r["queries"] for r in results.values())
    counts = {v: sum(r["result"] == v for r in results.values()) for v in ("holds", "unknown", "counterexample")}
    seconds = sum(r["seconds"] for r in results.values())
    parts = [HEAD.replace("{CVC5}", str(CVC5)).replace("{QUERIES}", str(queries))]
    parts.append("## The obligations\n")
    parts.append(
        f"{len(results)} obligations, {queries} queries, z3 {whole['z3']}, {seconds:.0f} seconds of one core: "
        f"{counts['holds']} hold, {counts['unknown']} unknown, {counts['counterexample']} counterexamples.\n"
    )
    lines = ["| name | clause | statement | for | rests on | result | queries | s |", "|---|---|---|---|---|---|---|---|"]
    for o in registry().values():
        r = results[o.name]
        rests = ", ".join(f"`{u}`" for u in o.uses)
        answer = r["result"] + (f": {', '.join(r['unknown'])}; {o.covered}" if r["unknown"] else "")
        statement, hypothesis = (t.replace("|", "\\|") for t in (o.statement, o.hypothesis))
        row = (f"`{o.name}`", o.clause, statement, hypothesis, rests, answer, r["queries"], f"{r['seconds']:.1f}")
        lines.append("| " + " | ".join(map(str, row)) + " |")
    covered = [f"- `{o.name}`: {o.covered}" for o in registry().values() if o.covered]
    tail = [
        "",
        "## What covers the rest",
        "",
        "Where a statement has a bound that is the proof's and not the clause's, or a solver might not",
        "answer:",
        "",
    ]
    return "\n".join(["\n".join(parts), *lines, *tail, *covered, ""])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.stdout.write(page())
