"""Worker processes of a command end with it, however it ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest

from qgru import prove
from tests.meta.house import ROOT
from vectors.generate import generate
from verification.sweeps.runner import run_all

WAITS = 600  # of 0.1 seconds


def session(leader):
    """The processes of a session, as /proc tells them; those that only wait to be reaped do not count."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                state, _, _, of = file.read().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of) == leader and state != "Z":
            found.append(int(name))
    return found


def waited(condition):
    """Whether a condition holds within a minute."""
    for _ in range(WAITS):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_sigterm_ends_the_device_and_takes_away_what_was_begun(tmp_path):
    wait = f"import os, sys, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()) + '.'); time.sleep(600)"
    device = shlex.join([sys.executable, "-c", wait])
    calls = {"device": ["check", "--dut", f"cmd:{device}"], "set": ["vectors", "generate", str(tmp_path / "set")]}
    begun = {"device": lambda: (tmp_path / "pid").exists(), "set": lambda: list(tmp_path.glob(".set.*"))}
    for name, call in calls.items():
        with subprocess.Popen([sys.executable, "-m", "qgru", *call], cwd=ROOT, stderr=subprocess.PIPE) as process:
            assert waited(begun[name])
            time.sleep(0.5)
            process.terminate()
            assert process.wait(timeout=60) == 143 and process.stderr.read() == b""
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().rstrip('.')}")
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]


@pytest.fixture(scope="module")
def level1(tmp_path_factory):
    """The folder of a set whose kills take a worker longer than it may live on."""
    path = tmp_path_factory.mktemp("level1") / "set"
    generate(path, level=1, datapath="mshift", version="1.0")
    return path


@pytest.mark.parametrize(("by", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9), (signal.SIGINT, 130)])
@pytest.mark.parametrize("command", ["prove --jobs 2", "sweep requantize --jobs 2", "kill --vectors"])
def test_no_worker_outlives_its_command(command, by, code, request):
    if command.startswith("kill") and os.cpu_count() == 1:
        pytest.skip("on one core qgru kill starts no worker")
    if command.startswith("prove"):
        pytest.importorskip("z3", reason="needs the extra qgru[proofs]")
    program = [sys.executable, "-m", "qgru", *command.split()]
    if command.startswith("kill"):
        program.append(str(request.getfixturevalue("level1")))
    workers = os.cpu_count() or 1 if command.startswith("kill") else 2
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(program, cwd=ROOT, start_new_session=True, **quiet) as process:
        try:
            assert waited(lambda: len(session(process.pid)) == 2 + workers)  # and the tracker of multiprocessing
            if by == signal.SIGINT:
                time.sleep(2)
                os.killpg(process.pid, by)
            else:
                process.send_signal(by)
            assert process.wait(timeout=60) == code
            assert waited(lambda: not session(process.pid))
        finally:
            for left in session(process.pid):
                os.kill(left, signal.SIGKILL)


def test_a_worker_that_dies_in_the_middle_of_a_result_is_not_waited_for(tmp_path):
    program = [sys.executable, "-m", "tests.verification.half_result", str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, timeout=120, check=True)
    assert done.stdout == b"ended\n"


def _die(*_):
    os._exit(1)


@pytest.mark.parametrize("command", ["prove", "sweep"])
def test_the_pool_and_the_command_do_not_both_end_what_waits(command, monkeypatch):
    def slowly(future, error):
        usual(future, error)
        time.sleep(0.2)  # the command sees its first loss while the pool tells the others of theirs

    usual, said = Future.set_exception, []
    monkeypatch.setattr(Future, "set_exception", slowly)
    monkeypatch.setattr(threading, "excepthook", said.append)
    monkeypatch.setattr(prove, "prove_one", _die)
    with pytest.raises(BrokenProcessPool):
        if command == "sweep":
            list(run_all([None] * 8, 2, _die))
        else:
            with prove._each([SimpleNamespace(name=str(i)) for i in range(8)], None, 2) as results:
                list(results)
    assert not said
