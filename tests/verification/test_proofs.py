"""The proofs: a selection is run, the recorded results are of the present sources, the page is made of them."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("z3", reason="needs the extra qgru[proofs]")

import z3  # noqa: E402
from hypothesis import given, settings  # noqa: E402

from docs.proofs_page import page  # noqa: E402
from golden.spec.layout import SCALAR_OPERATORS  # noqa: E402
from golden.spec.rounding import Rounding  # noqa: E402
from qgru.cli import main  # noqa: E402
from tests.meta.house import ROOT, clauses  # noqa: E402
from verification.proofs import pot_steps  # noqa: E402
from verification.proofs.case import Case  # noqa: E402
from verification.proofs.registry import registry  # noqa: E402
from verification.proofs.results import recorded, stale  # noqa: E402
from verification.proofs.solve import check, formulas, smtlib  # noqa: E402
from verification.proofs.source import Twin  # noqa: E402
from verification.strategies import sets  # noqa: E402

AT_MOST = 4  # queries of one obligation; the recorded run had them all
TIMEOUT = 300.0
NAMES = list(registry())


def selection(obligation):
    """Some queries of an obligation, the first and the last among them."""
    queries = list(obligation.cases)
    if len(queries) <= AT_MOST:
        return queries
    return [queries[i * (len(queries) - 1) // (AT_MOST - 1)] for i in range(AT_MOST)]


@pytest.mark.parametrize("name", NAMES)
def test_a_selection_of_queries_holds(name):
    obligation, twin = registry()[name], Twin()
    for query in selection(obligation):
        answer, _ = check(formulas(obligation.case(query, twin)), obligation.logic, TIMEOUT)
        assert answer == z3.unsat, f"{name}, {query}: {answer}"


@pytest.mark.parametrize("name", NAMES)
def test_no_hypothesis_is_empty(name):
    obligation = registry()[name]
    case = obligation.case(next(iter(obligation.cases)), Twin())
    answer, _ = check([*case.hypotheses, *case.facts], obligation.logic, TIMEOUT)
    assert answer == z3.sat


@pytest.mark.parametrize("name", NAMES)
def test_the_file_of_a_query_is_unsat_by_z3s_own_parser(name):
    obligation = registry()[name]
    query = selection(obligation)[-1]
    text = smtlib(obligation, query, obligation.case(query, Twin()))
    assert text.count("(check-sat)") == 1 and "(set-info :status unsat)" in text
    solver = z3.SolverFor(obligation.logic) if "NIA" not in obligation.logic else z3.Solver()
    solver.add(z3.parse_smt2_string(text))
    assert solver.check() == z3.unsat


def test_the_recorded_results_are_of_the_present_sources():
    assert stale(recorded()) == [], "run: qgru prove --record verification/proofs/results.json"


def test_nothing_recorded_is_unknown_without_a_name_or_has_a_counterexample():
    for result in recorded()["results"]:
        assert result["result"] in ("holds", "unknown") and result["counterexample"] is None
        assert bool(result["unknown"]) == (result["result"] == "unknown")
        assert result["queries"] == len(registry()[result["name"]].cases)
        if result["unknown"]:
            assert registry()[result["name"]].covered, "an unknown without what covers it"


def test_a_changed_source_makes_a_result_stale():
    results = recorded()
    first = next(r for r in results["results"] if r["name"] == "ties_up")
    first["functions"]["rounding.ties_up"] = "0" * 64
    assert stale(results) == ["rounding.ties_up has changed since ties_up was proven"]


def test_the_page_is_the_results():
    text = (ROOT / "docs" / "proofs.md").read_text(encoding="utf-8")
    assert text == page(), "run: python docs/proofs_page.py > docs/proofs.md"
    assert [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")] == NAMES


def test_every_obligation_cites_clauses_and_rests_on_obligations_without_a_circle():
    done: set[str] = set()
    waiting = dict(registry())
    for o in waiting.values():
        cited = [c.strip() for part in o.clause.split(",") for c in part.split("...")]
        assert set(cited) - clauses() == set(), o.name
        assert set(o.uses) <= set(registry()), o.name
    while waiting:
        ready = [n for n, o in waiting.items() if set(o.uses) <= done]
        assert ready, f"a circle among {sorted(waiting)}"
        done.update(ready)
        for name in ready:
            del waiting[name]


def test_every_step_of_the_twin_is_proven():
    proven = {f for r in recorded()["results"] for f in r["functions"]}
    missing = set()
    for module in ("rounding", "quantize", "activation", "gates", "hidden", "cell"):
        space = Twin().globals_of(f"{module}.x")
        own = {n for n, v in space.items() if getattr(v, "__module__", "") == f"cuda_impl.{module}"}
        missing |= {f"{module}.{n}" for n in own} - proven
    assert missing == {"activation.pack", "cell.pot_products"}  # makes the tables; passes its arguments to pot_linear twice


def told(case, p):
    """Whether the hypotheses of a case hold for a parameter set, the data of the case left free."""
    ops = p.operators
    values = {}
    for short, name in zip(pot_steps.NAMES, SCALAR_OPERATORS):
        op = ops[name]
        spread = max(abs(op.fmt.qmin - op.zero_point), abs(op.fmt.qmax - op.zero_point))
        values |= {f"e_{short}": op.exponent, f"zp_{short}": op.zero_point, f"spread_{short}": spread}
        values |= {f"low_{short}": op.fmt.qmin, f"high_{short}": op.fmt.qmax}
    values |= {f"spread_{b}": -ops[f"weight.{b}"].fmt.qmin for b in ("bx", "br")}
    solver = z3.Solver()
    solver.add(*case.hypotheses)
    solver.add(*(z3.Int(n) == v for n, v in values.items() if n in case.inputs))
    return solver.check() == z3.sat


@settings(max_examples=15, deadline=None)
@given(p=sets.pot_params())
def test_what_the_parameter_check_accepts_is_within_the_hypotheses(p):
    short = dict(zip(pot_steps.NAMES, SCALAR_OPERATORS))
    for name, gate in (("pot_linear", 0), ("pot_gate", 0), ("pot_reset_path", 2), ("pot_candidate", 2), ("pot_hidden", 0)):

        def known(wanted, low, high, gate=gate):
            if wanted == "rounding":
                return 1 if p.rounding is Rounding.TIES_AWAY else 2
            key = wanted.removeprefix("e_")
            if key in short:
                return p.operators[short[key]].exponent
            return int(p.operators[f"weight.{key}"].exponent[gate * p.hidden_size])

        case = Case(Twin(), False, known)
        next(iter(registry()[name].cases.values()))(case)
        assert told(case, p), name


def test_the_command_lists_proves_and_replays(capsys, tmp_path):
    assert main(["prove", "--list", "requantize"]) == 0
    assert capsys.readouterr().out.startswith("requantize  [M-5]  requantize is saturate")
    record, folder = tmp_path / "results.json", tmp_path / "smt"
    assert main(["prove", "requantize", "shift_round", "--json", "--record", str(record), "--smtlib", str(folder)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(r["name"], r["result"], r["queries"]) for r in shown["results"]] == [
        ("shift_round", "holds", 3),
        ("requantize", "holds", 1),
    ]
    assert json.loads(record.read_text())["results"] == shown["results"]
    index = json.loads((folder / "index.json").read_text())
    assert sorted(p.name for p in folder.glob("*.smt2")) == sorted(row["file"] for row in index) and len(index) == 4
    assert main(["prove", "requantize", "--at", "[3, 5, 1, 0, -128, 127]"]) == 0
    assert capsys.readouterr().out == "twin:  8\njudge: 8\nequal\n"
    assert main(["prove", "nearest_even", "--at", '["0x40200000"]', "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["twin"] == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nope"], "obligation is 'nope', expected one of"),
        (["--at", "[1]"], "--at is given with 0 names, expected exactly one"),
        (["apply", "--at", "[1, 2, 3]", "--record", "r.json"], "--record is given with --at, expected it only without"),
        (["apply", "--at", "[1, 2, 3]", "--list"], "--list is given with --at, expected it only without"),
        (["--list", "--smtlib", "smt"], "--smtlib is given with --list, expected it only without"),
        (["product", "--at", "[1]"], "product has no function of the twin to replay"),
        (["apply", "--at", "[1"], "expected a JSON list of the arguments"),
        (["apply", "--at", '[1.5, 2, 3]'], "expected a JSON list of integers"),
        (["apply", "--at", "[1, 2]"], "--at does not fit rescale.apply"),
        (["apply", "--at", "[" * 5000], "expected a JSON list of the arguments"),
        (["apply", "--at", f"[{'9' * 5000}]"], "expected a JSON list of the arguments"),
        (["apply", "--at", "[1, 2, 4611686018427387904]"], "--at shift is 4611686018427387904, expected"),
        (["apply", "--at", "[1, 2, -4611686018427387904]"], "--at shift is -4611686018427387904, expected a shift in"),
        (["pot_hidden", "--at", "[1, 2, 3, [[1099511627776, 0, 0, 1]]]"], "--at ops is 1099511627776, expected a shift"),
        (["requantize", "--at", '["0x7fc00000", 1, 2, 3, "0xff800000", 5]'], "--at does not fit rescale.requantize"),
        (["dequantize", "--at", '["0x00000000", 100, "0x3f800000"]'], "--at does not fit quantize.dequantize"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(arguments, sentence, capsys):
    assert main(["prove", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("qgru: ") and sentence in error and error.count("\n") == 1


@pytest.mark.parametrize("seconds", ["inf", "1e300", "4294967.297"])
def test_a_timeout_of_any_size_is_taken(seconds, capsys):
    assert main(["prove", "requantize", "--timeout", seconds]) == 0
    assert "1 holds" in capsys.readouterr().out


def test_what_is_unknown_is_not_proven(capsys, monkeypatch):
    from qgru import prove

    plain = {"queries": 1, "seconds": 0.0, "unknown": ["all"], "counterexample": None}
    unknown = {"name": "requantize", "result": "unknown", **plain}
    monkeypatch.setattr(prove, "prove_one", lambda name, timeout: unknown)
    for more in ((), ("--json",)):
        assert main(["prove", "requantize", *more]) == 2
        out, err = capsys.readouterr()
        assert err.startswith("qgru: 1 of 1 obligations are unknown (requantize), expected an answer") and err.count("\n") == 1
        assert json.loads(out)["results"] == [unknown] if more else "0 holds, 1 unknown, 0 counterexample" in out
    monkeypatch.setattr(prove, "prove_one", lambda name, timeout: unknown | {"result": "counterexample"})
    assert main(["prove", "requantize", "--json"]) == 1
    capsys.readouterr()


def test_a_timeout_that_is_no_number_is_refused(capsys):
    assert main(["prove", "requantize", "--timeout", "nan"]) == 2
    assert "'--timeout': nan is not a number of seconds." in capsys.readouterr().err


def test_an_existing_folder_is_not_overwritten(tmp_path, capsys):
    assert main(["prove", "apply", "--smtlib", str(tmp_path)]) == 2
    assert "exists" in capsys.readouterr().err
