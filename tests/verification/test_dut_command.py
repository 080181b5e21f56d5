"""qgru check --dut: exit codes, the table, JSON, the replay command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from qgru.check_dut import _shown
from qgru.cli import main
from tests.verification.dut_cases import DEVICES, requantize, run_case
from vectors.chain_case import chain_case
from vectors.writer import write_set

SPEC = f"py:{DEVICES}:Misbehaving"


@pytest.fixture
def folder(tmp_path):
    write_set(
        tmp_path / "set", [requantize("right"), requantize("crash", 1), requantize("wrong", 9), run_case()], seed=0, version="0"
    )
    return str(tmp_path / "set")


def test_failures_are_a_mismatch_and_the_rest_is_run(folder, capsys):
    assert main(["check", "--dut", SPEC, folder]) == 1
    printed = capsys.readouterr()
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["requantize", "equal", "1", "5", "0"] in rows
    assert ["requantize", "crash", "crash", "1", "0", "0"] in rows
    assert ["requantize", "differs", "wrong", "1", "5", "1"] in rows
    assert "not run, 1 cases: the datapath mshift is not declared" in printed.out
    assert printed.out.splitlines()[-1] == "10 numbers compared, 1 mismatches; 1 cases equal, 2 failed, 1 not run"
    assert f"  replay: qgru check --dut {SPEC} {folder} --case wrong" in printed.err
    assert "FAILED misbehaving, case crash\n  crash: killed by SIGSEGV" in printed.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_end_leaves_no_device_behind(tmp_path, folder, number):
    device, told = tmp_path / "endless.py", tmp_path / "process"
    device.write_text(
        "import os, time\nfrom pathlib import Path\n\n\nclass Endless:\n    def step(self, *arguments):\n"
        f"        Path({str(told)!r}).write_text(str(os.getpid()))\n"
        "        while time.process_time() < 100:\n            pass\n",
        encoding="ascii",
    )
    command = [sys.executable, "-m", "qgru", "check", "--dut", f"py:{device}:Endless", folder, "--case", "right"]
    heeded = partial(signal.signal, number, signal.SIG_DFL)  # also where these tests run under nohup
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=heeded) as running:
        until = time.monotonic() + 60
        while not (told.exists() and told.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(60) == 128 + number
    with pytest.raises(ProcessLookupError):
        os.kill(int(told.read_text()), 0)


def test_what_was_not_run_fails_when_asked(folder, capsys):
    assert main(["check", "--dut", SPEC, folder, "--case", "right", "--case", "m"]) == 0
    assert main(["check", "--dut", SPEC, folder, "--case", "right", "--case", "m", "--strict"]) == 1
    capsys.readouterr()


def test_json(folder, capsys):
    assert main(["check", "--dut", SPEC, folder, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["passed"], found["failed"], found["not_run"]) == (False, 1, 2, 1)
    assert [(c["case"], c["outcome"], c["fields"]) for c in found["cases"]] == [
        ("right", "equal", ["q"]), ("crash", "crash", []), ("wrong", "differs", ["q"]), ("m", "not run", [])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["check"], "Missing argument 'VECTORS'"),
        (["check", "--dut", "nothing"], "qgru: --dut is 'nothing', expected py:module:callable"),
        (["check", "--dut", SPEC, "--case", "nothing"], "--case is 'nothing', expected a case of the set"),
        (["check", "--dut", SPEC, "--timeout", "0", "--case", "derive"], "expected"),
        (["check", "set", "--strict"], "qgru: --strict is given without --dut, expected it only with one"),
        (["check", "set", "--no-chains"], "qgru: --chains or --no-chains is given without --dut, expected"),
        (["check", "set", "--timeout", "60"], "qgru: --timeout is given without --dut, expected"),
        (["check", "--dut", SPEC, "--device", "host"], "qgru: --device is given with --dut, expected it only without one"),
    ],
)
def test_bad_arguments(arguments, sentence, capsys):
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_a_file_may_be_a_link_to_one_of_another_name(folder, tmp_path, capsys):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "5f0c").write_bytes(Path(DEVICES).read_bytes())  # as a build or a store of content keeps it
    (tmp_path / "mine.py").symlink_to(tmp_path / "store" / "5f0c")
    assert main(["check", "--dut", f"py:{tmp_path / 'mine.py'}:Golden", folder, "--case", "right"]) == 0
    assert "1 cases equal" in capsys.readouterr().out


@pytest.mark.parametrize("seconds", ["inf", "1e300", "1e7"])
def test_a_timeout_of_any_size_is_taken(seconds, folder, capsys):
    assert main(["check", "--dut", SPEC, folder, "--case", "right", "--timeout", seconds]) == 0
    assert "1 cases equal" in capsys.readouterr().out


def test_the_replay_has_the_timeout_that_a_hang_was_found_with(folder, capsys):
    assert main(["check", "--dut", SPEC, folder, "--case", "wrong", "--timeout", "7.5"]) == 1
    assert f"  replay: qgru check --dut {SPEC} {folder} --timeout 7.5 --case wrong\n" in capsys.readouterr().err


def test_nothing_that_runs_is_refused(folder, capsys):
    assert main(["check", "--dut", SPEC, folder, "--case", "m"]) == 2
    assert "ran none of the 1 cases (the datapath mshift is not declared), expected at least one" in capsys.readouterr().err


def test_chains_of_a_folder_are_left_out_when_asked(tmp_path, capsys):
    chain = chain_case("chain-ties_even", "ties_even", {}, 40, 20, [5])
    write_set(tmp_path / "set", [requantize("right"), chain], seed=0, version="0")
    arguments = ["check", "--dut", f"py:{DEVICES}:Golden", str(tmp_path / "set")]
    assert main(arguments) == 0
    assert "2 cases equal, 0 failed, 0 not run" in capsys.readouterr().out
    assert main([*arguments, "--no-chains"]) == 0
    assert "1 cases equal, 0 failed, 0 not run" in capsys.readouterr().out
    assert main([*arguments, "--no-chains", "--case", "chain-ties_even"]) == 0
    assert "1 cases equal, 0 failed, 0 not run" in capsys.readouterr().out


def test_the_built_in_set(capsys):
    assert main(["check", "--dut", f"py:{DEVICES}:Golden", "--case", "sequence-pot-mask"]) == 0
    assert "1 cases equal, 0 failed, 0 not run" in capsys.readouterr().out


def test_steps_and_runs_are_both_reported_whatever_failed_first():
    def failed(kinds):
        return [SimpleNamespace(case=SimpleNamespace(kind=kind)) for kind in kinds]

    def shown(kinds):
        found = failed(kinds)
        kept = [found.index(o) for o in _shown(found)]
        assert kept == sorted(kept)
        return "".join(found[i].case.kind[:2] for i in kept)

    assert shown(["step"] * 30 + ["sequence"] * 30) == "st" * 6 + "se" * 4
    assert shown(["step"] * 30 + ["sequence"]) == "st" * 9 + "se"
    assert shown(["sequence"] * 30) == "se" * 10
    assert shown(["sequence", "chain", "step"]) == "sechst"
