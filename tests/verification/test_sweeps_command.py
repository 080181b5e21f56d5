"""qgru sweep: what it prints, exit codes, journals."""

from __future__ import annotations

import json

import pytest

from qgru.cli import main
from verification.sweeps import elements, twin
from verification.sweeps.runner import Journal


def test_a_step_with_constants_is_swept(capsys):
    assert main(["sweep", "direct", "--params", "function=tanh scale=0.25 zp=3", "--jobs", "1"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("equal       direct function=tanh scale=0.25 zp=3: 256 codes; ")
    assert out[1].startswith("256 codes compared, 0 mismatches, golden against the twin on host, 1 jobs, ")


def test_json_and_journal(capsys, tmp_path):
    call = ["sweep", "matmul", "--range", "100:65000", "--jobs", "1", "--json", "--resume", str(tmp_path / "j")]
    assert main(call) == 0
    first = json.loads(capsys.readouterr().out)
    (row,) = first["steps"]
    assert (first["compared"], first["mismatches"], row["sweeps"], row["whole"]) == (7 * 64900, 0, 7, 0)
    assert main(call) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["rate"] is None and first["rate"] > 0 and again["compared"] == first["compared"]
    assert len((tmp_path / "j").read_text().splitlines()) == 7


@pytest.mark.parametrize(
    "change",
    [
        {"seconds": "1"}, {"seconds": float("nan")}, {"seconds": 10**400}, {"seconds": None}, {"compared": -1},
        {"compared": True}, {"mismatches": 10**300}, {"mismatches": 1}, {"first": [1]}, {"first": 7}, {"piece": 3},
        {"compared": 0}, {"compared": 65}, {"first": [1, 0]}, {"mismatches": 1, "first": [64, 0]}, {"piece": "ties_up"},
        {"mismatches": 1, "first": [4, 1]}, {"mismatches": 65, "first": [4, 0]}, {"piece": "ties_upp s=3 [0:64]"},
    ],
)  # fmt: skip
def test_a_damaged_journal_is_refused_and_kept(change, capsys, tmp_path):
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--json", "--resume", str(tmp_path / "j")]
    assert main(call) == 0
    entry = json.loads((tmp_path / "j").read_text())
    (tmp_path / "j").write_text(text := json.dumps(entry | change, sort_keys=True) + "\n")
    capsys.readouterr()
    assert main(call) == 2
    out, err = capsys.readouterr()
    assert out == "" and "expected a line of a sweep's journal" in err and err.count("\n") == 1
    assert (tmp_path / "j").read_text() == text


def test_a_carriage_return_inside_a_line_takes_no_other_line_away(capsys, tmp_path):
    file = tmp_path / "j"
    call = ["sweep", "direct", "--range", "0:4", "--jobs", "1", "--resume", str(file)]
    assert main(call) == 0
    whole = file.read_bytes()
    assert whole.count(b"\n") > 2
    file.write_bytes(damaged := whole[:40] + b"\r" + whole[41:])
    capsys.readouterr()
    assert main(call) == 2 and "expected a line of a sweep's journal" in capsys.readouterr().err
    assert file.read_bytes() == damaged
    file.write_bytes(whole.replace(b"\n", b"\r\n"))  # as an editor may keep it
    assert main(call) == 0 and file.read_bytes().count(b"\r\n") == whole.count(b"\n")


def test_a_piece_that_is_there_twice_must_be_alike(capsys, tmp_path):
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--resume", str(tmp_path / "j")]
    assert main(call) == 0
    line = (tmp_path / "j").read_text()
    (tmp_path / "j").write_text(line * 2)
    assert main(call) == 0
    wrong = json.dumps(json.loads(line) | {"mismatches": 8, "first": [4, 0]}, sort_keys=True) + "\n"
    (tmp_path / "j").write_text(wrong + line)
    capsys.readouterr()
    assert main(call) == 2
    assert "j, ties_up s=3 [0:64] is there twice, and not alike, expected one outcome" in capsys.readouterr().err


def test_what_was_run_on_another_device_is_run_again(capsys, tmp_path):
    file = tmp_path / "j"
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--json", "--resume", str(file)]
    assert main(call) == 0 and json.loads(capsys.readouterr().out)["rate"] is not None
    assert main(call) == 0 and json.loads(capsys.readouterr().out)["rate"] is None  # nothing was left to run
    line = json.loads(file.read_text())
    assert line["device"] == "host"
    for other in (line | {"device": "gpu"}, {k: v for k, v in line.items() if k != "device"}):
        file.write_text(json.dumps(other, sort_keys=True) + "\n")
        assert main(call) == 0 and json.loads(capsys.readouterr().out)["rate"] is not None
        assert [json.loads(text) for text in file.read_text().splitlines()][0] == other
    assert list(Journal(file, True, "gpu").done) == []
    file.write_text(json.dumps(line | {"device": "elsewhere"}, sort_keys=True) + "\n")
    assert main(call) == 2 and "expected a line of a sweep's journal" in capsys.readouterr().err


def test_a_journal_that_another_run_writes_to_is_refused(capsys, tmp_path):
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--resume", str(tmp_path / "journal")]
    other = Journal(tmp_path / "journal", True, "host")
    assert main(call) == 2
    assert "expected a file that no other qgru sweep writes to" in capsys.readouterr().err
    other.close()
    assert main(call) == 0


def test_a_file_that_is_no_journal_is_not_cut_but_a_torn_line_is(capsys, tmp_path):
    file = tmp_path / "j"
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--resume", str(file)]
    file.write_text("notes without a line end")
    assert main(call) == 2 and file.read_text() == "notes without a line end"
    file.unlink()
    assert main(call) == 0
    whole = file.read_bytes()
    for length in (3, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert main(call) == 0 and file.read_bytes().count(b"\n") == 1 and json.loads(file.read_bytes())["compared"] == 64
    capsys.readouterr()


@pytest.mark.parametrize(
    ("step", "params"),
    [("quantize", "scale=1" + "0" * 400), ("ties_up", "s=" + "9" * 5000), ("ties_up", "s=" + "[" * 5000)],
)
def test_constants_of_any_size_are_refused(step, params, capsys):
    given = params if step == "ties_up" else f"{params} zero_point=0 fmt=int8"
    assert main(["sweep", step, "--params", given]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "--params" in err and len(err) < 2100


def test_a_mismatch_is_reported_kept_and_replayed(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(elements, "ties_up_at", elements.ties_away_at)
    twin.loops.cache_clear()
    call = ["sweep", "ties_up", "--params", "s=3", "--range", "0:64", "--jobs", "1", "--resume", str(tmp_path / "j")]
    assert main(call) == 1
    found = capsys.readouterr()
    assert "MISMATCH ties_up [R-1] y: 8 of 64 codes, first index 4" in found.err
    assert 'replay: qgru sweep ties_up --params "s=3" --range 4:5' in found.err
    assert "8 differ    ties_up s=3: 64 codes" in found.out and "64 codes compared, 8 mismatches" in found.out
    assert main(["sweep", "ties_up", "--params", "s=3", "--range", "4:5", "--jobs", "1"]) == 1
    capsys.readouterr()
    monkeypatch.undo()
    twin.loops.cache_clear()
    assert main(call) == 1
    assert "qgru: the journal holds 8 mismatches in ties_up s=3 [0:64], the first at [4, 0]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "qgru: STEP is 'nothing', expected all or one of ties_up, "),
        (["all", "nothing", "--list"], "qgru: STEP is 'nothing', expected all or one of ties_up, "),
        (["all", "--list", "--record", "r.json"], "qgru: --record is given with --list, expected it only without"),
        (["ties_up", "--list", "--range", "0:9"], "qgru: --range is given with --list, expected it only without"),
        (["ties_up", "--range", "7:7"], "qgru: --range is '7:7', expected A:B with 0 <= A < B"),
        (["ties_up", "--range", "x"], "qgru: --range is 'x', expected A:B with 0 <= A < B"),
        (["direct", "--range", "256:300"], "qgru: --range starts at 256, expected an index below 256"),
        (["ties_up", "direct", "--range", "256:300"], "qgru: --range starts at 256, expected an index below 256, the"),
        (["requantize", "--params", "M=1 s=40 zp=0 fmt=int8", "--range", "0:4", "--jobs", "1"], "qgru: shift is 40, expected"),
        (
            ["requantize", "--params", "M=1 s=4 zp=0 fmt=int99", "--range", "0:4", "--jobs", "1"],
            "qgru: format is 'int99', expected",
        ),
    ],
)
def test_refusals_are_one_sentence(arguments, sentence, capsys):
    assert main(["sweep", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(sentence) and err.count("\n") == 1


def test_the_list_says_what_an_index_is(capsys):
    assert main(["sweep", "matmul", "--list"]) == 0
    out = capsys.readouterr().out
    assert "matmul zp=-128  [L-1]  65 536 inputs: x = (i >> 8) - 128, W = (i & 255) - 128" in out
    assert main(["sweep", "all", "--list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["sweeps"]) == 425


@pytest.mark.parametrize(("jobs", "count"), [((), 3), (("--jobs", "2"), 2), (("--jobs", "9"), 3)])
def test_on_gpus_there_is_a_process_for_each(jobs, count, capsys, monkeypatch):
    from qgru import sweep
    from verification import gpus
    from verification.sweeps import runner

    asked = []

    def run_all(todo, processes, run, names):
        asked.append((processes, run, names))
        return map(runner.run_host, todo)

    monkeypatch.setattr(sweep, "_need_gpu", lambda: None)
    monkeypatch.setattr(gpus, "visible_gpus", lambda: ("0", "1", "2"))
    monkeypatch.setattr(runner, "same_on_gpu", lambda _: 0)
    monkeypatch.setattr(runner, "run_all", run_all)
    assert main(["sweep", "direct", "--device", "gpu", *jobs]) == 0
    assert asked == [(count, runner.run_one_gpu, ("0", "1", "2"))]
    assert f"0 mismatches, golden against the twin on gpu, {count} jobs" in capsys.readouterr().out
