"""qgru fuzz: what it finds, writes and says; exit codes; resume, merge, replay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qgru.cli import main
from tests.verification.fuzz_devices import KILLER_ROWS, PLANTED, spec
from vectors.lint import lint
from vectors.reader import open_set
from verification.fuzz.findings import FLAG
from verification.fuzz.journal import FILE, read_journal
from verification.fuzz.ledger import ledgers
from verification.fuzz.shard import shrink_one
from verification.fuzz.subject import Subject, close
from verification.problem import Problem

ROOT = Path(__file__).parents[2]
COUNT = 48


def fuzz(*arguments):
    return main(["fuzz", *map(str, arguments)])


def ledger_of(folder):
    (ledger,) = ledgers(read_journal(folder)).values()
    return ledger


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """The folder of a campaign on the planted device, and its exit code."""
    out = tmp_path_factory.mktemp("fuzz") / "wrong"
    code = fuzz(out, "--dut", spec("wrong"), "--examples", COUNT, "--workers", 0, "--shrink", 2)
    return out, code


@pytest.mark.parametrize("timeout", ["inf", "nan", "-1", "1e300"])
def test_a_timeout_that_is_no_time_is_refused(timeout, tmp_path, capsys):
    assert fuzz(tmp_path / "out", "--timeout", timeout, "--examples", 1, "--workers", 0) == 2
    assert "--timeout is" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_leaves_no_campaign(tmp_path, capsys):
    for dut in ("so:./no.so", "py:no.such:thing", "cmd:/no/such/program", "other"):
        assert fuzz(tmp_path / "out", "--dut", dut, "--examples", 1, "--workers", 0) == 2
        assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


def test_a_journal_that_brings_code_or_damage_is_refused_and_nothing_is_written(wrong, tmp_path, capsys):
    text = (wrong[0] / FILE).read_text()
    shrunk = next(json.loads(line) for line in text.splitlines() if '"shrunk"' in line)
    bad = {
        "stage": text.replace('"stage":"', '"stage":"x\\nimport os #', 1),
        "problem": text + json.dumps(shrunk | {"problem": "{}"}) + "\n",
    }
    for name, content in bad.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text(content)
        assert fuzz("merge", tmp_path / "out", tmp_path / name) == 2
        assert fuzz(tmp_path / name, "--resume", "--examples", 1, "--workers", 0) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 2 and not (tmp_path / "out").exists()


def test_a_campaign_of_which_nothing_was_run_is_not_exact(tmp_path, capsys):
    (tmp_path / "none.py").write_text("def none(*a, **o): pass\n\nnone.capabilities = {'datapaths': []}\n")
    dut = f"py:{tmp_path / 'none.py'}:none"
    for more in ((), ("--json",)):
        call = (tmp_path / f"out{len(more)}", "--dut", dut, "--datapath", "pot", "--examples", 3, "--workers", 0, *more)
        assert fuzz(*call) == 2
        out, err = capsys.readouterr()
        assert out == "" and "holds none of 3 problems that was run (the datapath pot is not declared), expected" in err
    assert fuzz(tmp_path / "idle", "--time", 0, "--workers", 0) == 2
    assert "holds none of 0 problems that was run, expected" in capsys.readouterr().err
    assert fuzz("replay", "fuzz1-0-pot-3:0", "--dut", dut) == 2
    out, err = capsys.readouterr()
    assert out == "" and "fuzz1-0-pot-3:0 was not run on py:" in err and "(the datapath pot is not declared)" in err
    close()


def test_findings_are_shrunk_grouped_and_written(wrong):
    out, code = wrong
    assert code == 1
    ledger = ledger_of(out)
    assert ledger.covered == [(0, COUNT)] and len(ledger.findings) > 4
    assert {f["datapath"] for f in ledger.findings.values()} == set(PLANTED)
    cases = open_set(out / "vectors")
    causes = {(case.params.datapath, case.comment.split(" on ")[0].split(": ")[1]) for case in cases.values()}
    assert causes == set(PLANTED.items())
    assert all(case.flags[FLAG] == 1 and case.x.size <= 2 and case.params.hidden_size == 1 for case in cases.values())
    assert list(lint(out / "vectors")) == []
    text = (out / "report.txt").read_text()
    assert f"{COUNT} problems (0 to {COUNT - 1})" in text and "replay: qgru fuzz replay fuzz1-0-all-8:" in text
    for entry in ledger.shrunk.values():
        assert PLANTED[ledger.findings[entry["index"]]["datapath"]] in entry["explanations"]


def test_the_examples_fail_on_the_device_and_run_as_they_are(wrong):
    out, _ = wrong
    text = (out / "examples.py").read_text()
    assert text.count("@example(problem=Problem.from_json(") == 2
    program = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(out / "examples.py")]
    found = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1 and "1 failed" in found.stdout and "AssertionError: differs" in found.stdout
    space: dict = {}
    exec(compile(text.replace(spec("wrong"), "twin"), "examples.py", "exec"), space)
    space["test_findings_0"]()  # the twin is right on all of them


def test_replay_shows_one_problem(wrong, capsys):
    out, _ = wrong
    index = min(ledger_of(out).findings)
    place = f"fuzz1-0-all-8:{index}"
    assert fuzz("replay", place, "--dut", spec("wrong")) == 1
    text = capsys.readouterr().out
    assert f"replay: qgru fuzz replay {place} --dut {spec('wrong')}" in text and "MISMATCH" in text and "Problem(" in text
    assert fuzz("replay", place) == 0
    assert "equal: " in capsys.readouterr().out
    assert fuzz("replay", place, "--dut", spec("wrong"), "--shrink", "--json") == 1
    plain = json.loads(capsys.readouterr().out)
    assert Problem.from_json(plain["json"]).to_json() == ledger_of(out).shrunk[index]["problem"]


def test_a_campaign_goes_on_and_keeps_its_options(wrong, tmp_path, capsys):
    out, part = wrong[0], tmp_path / "part"
    assert fuzz(part, "--dut", spec("wrong"), "--examples", 20, "--workers", 0, "--shrink", 2) == 1
    assert fuzz(part, "--examples", COUNT, "--workers", 0, "--resume", "--shrink", 2, "--json") == 1
    plain = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert plain["run"]["problems"] == COUNT - 20 and plain["campaigns"][0]["problems"] == COUNT
    whole, resumed = ledger_of(out), ledger_of(part)
    assert resumed.findings == whole.findings
    assert {f["cause"] for f in plain["findings"]} == set(PLANTED.values())
    assert fuzz(part, "--resume", "--seed", 3) == 2
    assert fuzz(part) == 2
    said = capsys.readouterr().err
    assert "--seed is 3, expected 0 as the campaign was begun" in said
    assert f"OUT is {str(part)!r}, which holds a campaign, expected another folder, or --resume" in said


def test_merge_puts_campaigns_together(wrong, tmp_path, capsys):
    a, b, c = wrong[0], tmp_path / "b", tmp_path / "c"
    states = spec("wrong_states")
    assert fuzz(b, "--dut", states, "--examples", 40, "--max-size", 3, "--workers", 0, "--shrink", 1) == 1
    assert fuzz(c, "--examples", 12, "--workers", 0) == 0
    for out, folders in (("abc", (a, b, c)), ("cba", (c, b, a)), ("ab", (a, b))):
        assert fuzz("merge", tmp_path / out, *folders) == 1
    assert fuzz("merge", tmp_path / "ab_c", tmp_path / "ab", c) == 1
    assert capsys.readouterr().out.count("fuzz1-0-all-8, twin against golden: 12 problems") == 4
    for name in (FILE, "report.txt", "examples.py", "vectors/manifest.json"):
        texts = {(tmp_path / out / name).read_bytes() for out in ("abc", "cba", "ab_c")}
        assert len(texts) == 1
    assert list(lint(tmp_path / "abc" / "vectors")) == [] and len(open_set(tmp_path / "abc" / "vectors")) == 3
    assert "inferred: with " in (tmp_path / "abc" / "report.txt").read_text()
    assert fuzz(tmp_path / "abc", "--resume") == 2
    assert fuzz("merge", tmp_path / "abc", a) == 2
    assert fuzz("merge", tmp_path / "none", tmp_path) == 2 and not (tmp_path / "none").exists()
    said = capsys.readouterr().err
    assert "which merges 3 campaigns, expected one campaign" in said and f"a folder without {FILE}" in said


def test_the_twin_is_equal_also_by_the_judge(tmp_path, capsys):
    assert fuzz(tmp_path / "judge", "--judge", "--examples", 12, "--workers", 0, "--json") == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["campaigns"][0]["campaign"] == "fuzz1-0-all-3" and plain["campaigns"][0]["judge"] is True
    assert plain["campaigns"][0]["outcomes"] == {"equal": 12} and plain["equal"] is True
    assert not (tmp_path / "judge" / "vectors").exists()


def test_what_nothing_explains_is_grouped_by_its_stage(tmp_path, capsys):
    out = tmp_path / "out"
    dut = spec("unheard_of")
    options = ("--examples", 4, "--workers", 0, "--shrink", 1, "--datapath", "mshift", "--max-size", 3)
    assert fuzz(out, "--dut", dut, *options, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["cause"], found["known"], found["sizes"]["T"]) == ("unexplained at z", False, 1)
    assert "diagnosis: none" in (out / "report.txt").read_text()


def test_a_device_that_crashes_is_a_finding_and_the_rest_is_run(tmp_path, capsys):
    out = tmp_path / "out"
    assert fuzz(out, "--dut", spec("crashes"), "--examples", 12, "--workers", 0, "--shrink", 0, "--json") == 1
    plain = json.loads(capsys.readouterr().out)
    ledger = ledger_of(out)
    rows = {i: ledger.campaign.problem(i).x.shape[1] for i in range(12)}
    assert sorted(ledger.findings) == [i for i, n in rows.items() if n == KILLER_ROWS] != []
    assert {f["cause"] for f in plain["findings"]} == {"crash"} and plain["findings"][0]["sizes"]["N"] == KILLER_ROWS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dut", "nothing"], "--dut is 'nothing', expected py:module:callable"),
        (["--dut", "py:nowhere:f"], "py:nowhere:f is not there"),
        (["--timeout", "0"], "--timeout is 0.0, expected a positive number of seconds"),
        (["--resume"], "which has no journal.jsonl, expected a folder that qgru fuzz wrote"),
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "expected one of them"),
        (["--max-size", "65"], "65 is not in the range"),
        (["--time", "nan", "--workers", "0"], "'--time': nan is not a number of seconds."),
    ],
)
def test_bad_arguments(arguments, sentence, tmp_path, capsys):
    assert fuzz(tmp_path / "out", *arguments) == 2
    assert sentence in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert fuzz(tmp_path, "--examples", 1) == 2
    assert "which holds other files, expected a new or an empty folder" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_help(capsys):
    assert main(["fuzz", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("run", "merge", "replay"))


def test_a_device_that_hangs_is_a_finding_and_is_shrunk_a_little(tmp_path, capsys):
    out, subject = tmp_path / "out", Subject(spec("hangs"), timeout=0.5)
    assert fuzz(out, "--dut", subject.spec, "--examples", 1, "--timeout", 0.5, "--workers", 0, "--shrink", 0, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["cause"] == "hang" and found["sizes"]["N"] == KILLER_ROWS
    shrunk = shrink_one("fuzz1-0-all-8", subject, 0, 3)
    assert shrunk["tried"] == 3 and shrunk["outcome"] == "hang" and shrunk["sizes"]["T"] < 2
    close()
