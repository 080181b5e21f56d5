"""Workers that are lost, processes that are killed: no shard and no finding is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qgru.cli import main
from tests.verification.fuzz_devices import spec
from verification.fuzz.campaign import Campaign
from verification.fuzz.farm import FarmError, Job, Lost, dask_farm, local_farm
from verification.fuzz.hunt import Limits, hunt
from verification.fuzz.journal import FILE, Journal, header, read_journal
from verification.fuzz.ledger import Ledger, ledgers
from verification.fuzz.rate import measure
from verification.fuzz.subject import Subject, close

ROOT = Path(__file__).parents[2]
COUNT = 60
WAITS = 6000  # of 20 ms for another process


def campaign_of(folder, farm, subject, count=COUNT, shrunk=1):
    """The ledger of a campaign run on a farm."""
    folder.mkdir()
    with Journal(folder) as journal:
        ledger = Ledger(Campaign(0, "pot", 4), subject)
        journal.add(header(ledger.campaign.name, subject))
        hunt(ledger, journal, farm, Limits(count, None, shrunk))
    (again,) = ledgers(read_journal(folder)).values()
    assert list(again.entries()) == list(ledger.entries())
    return ledger


def results(ledger):
    """What a campaign found, without how it was cut into shards."""
    shrunk = {i: (e["problem"], e["explanations"]) for i, e in ledger.shrunk.items()}
    return ledger.covered, ledger.totals(), ledger.findings, shrunk


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same campaign in this process."""
    found = campaign_of(tmp_path_factory.mktemp("farm") / "alone", local_farm(0), Subject(spec("wrong")))
    assert found.findings and found.shrunk
    return found


def double(value, killer):
    if value == killer:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * value


def span(start, stop, killer):
    return [double(v, killer) for v in range(start, stop)]


def job(start, stop, killer):
    def halves():
        middle = (start + stop) // 2
        return job(start, middle, killer), job(middle, stop, killer)

    return Job((start, stop), span, (start, stop, killer), halves if stop - start > 1 else None)


def test_a_problem_that_kills_its_worker_is_found_and_nothing_else_is_lost():
    jobs = iter([job(i, i + 4, killer=9) for i in range(0, 16, 4)])
    found = {done.tag: result for done, result in local_farm(2).run(lambda: next(jobs, None))}
    assert isinstance(found.pop((9, 10)), Lost)
    done = sorted(v for result in found.values() for v in result)
    assert done == [2 * v for v in range(16) if v != 9]


def test_a_cluster_that_loses_a_worker_finds_the_same(alone, tmp_path, capsys):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        calls = []

        def said(**counts):
            calls.append(counts)
            if len(calls) == 2:
                os.kill(victim, signal.SIGKILL)

        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            folder, subject = tmp_path / "farm", Subject(spec("wrong"))
            folder.mkdir()
            with Journal(folder) as journal:
                ledger = Ledger(Campaign(0, "pot", 4), subject)
                journal.add(header(ledger.campaign.name, subject))
                farm = dask_farm(cluster.scheduler_address, client)
                hunt(ledger, journal, farm, Limits(COUNT, None, 1), said)
        address = cluster.scheduler_address
        assert main(["fuzz", str(tmp_path / "twin"), "--scheduler", address, "--examples", "20", "--max-size", "3"]) == 0
        assert "fuzz1-0-all-3, twin against golden: 20 problems" in capsys.readouterr().out
        assert len(calls) > 3 and victim not in [worker.pid for worker in cluster.workers.values()]
    assert results(ledger) == results(alone)


def test_a_scheduler_that_is_not_there_is_refused():
    pytest.importorskip("distributed")
    with pytest.raises(FarmError, match="--scheduler nowhere://1 does not answer .* expected a Dask scheduler there"):
        dask_farm("nowhere://1")


@pytest.mark.parametrize("address", ["", "nowhere", "tcp://nowhere", "tcp://nowhere:port", "nowhere://1"])
def test_an_address_that_is_none_is_one_sentence_and_leaves_no_campaign(address, tmp_path):
    pytest.importorskip("distributed")
    call = [sys.executable, "-m", "qgru", "fuzz", str(tmp_path / "out"), "--scheduler", address]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and list(tmp_path.iterdir()) == []
    assert done.stderr.startswith("qgru: --scheduler ") and "expected a Dask scheduler there" in done.stderr


def test_kill_9_loses_no_finding(alone, tmp_path, capsys):
    out = tmp_path / "killed"
    options = ["--dut", spec("wrong"), "--datapath", "pot", "--max-size", "4", "--workers", "2", "--shrink", "1"]
    program = [sys.executable, "-m", "qgru", "fuzz", str(out), *options, "--examples", "1000000"]
    with subprocess.Popen(program, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        for _ in range(WAITS):
            if (out / FILE).exists() and (out / FILE).read_bytes().count(b'"shard"') >= 2:
                break
            time.sleep(0.02)
        process.kill()
    (killed,) = ledgers(read_journal(out)).values()
    assert killed.problems > 0 and not killed.shrunk
    before = dict(killed.findings)
    assert main(["fuzz", str(out), "--resume", "--workers", "0", "--examples", str(COUNT), "--shrink", "1"]) == 1
    capsys.readouterr()
    (resumed,) = ledgers(read_journal(out)).values()
    first = {i: f for i, f in resumed.findings.items() if i < COUNT}
    assert first == alone.findings and before.items() <= resumed.findings.items()
    ranges = sorted(resumed.shards)
    assert ranges[0][0] == 0 and all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:]))  # no index was run twice


def test_the_rate_is_measured():
    found = measure(examples=30, workers=0)
    assert (found["problems"], found["failures"], found["campaign"]) == (30, 0, "fuzz1-0-all-8")
    assert found["compared"] > 1000 and found["rate"] > 0


@pytest.mark.parametrize("kept", [1, 2, -2, -1])
def test_wherever_the_journal_ends_the_rest_is_done_and_the_same_is_found(alone, tmp_path, kept):
    whole = list(alone.entries())
    with Journal(tmp_path) as journal:
        for entry in whole[:kept]:
            journal.add(entry)
        (ledger,) = ledgers(journal.entries).values()
        hunt(ledger, journal, local_farm(0), Limits(COUNT, None, 1))
    (again,) = ledgers(read_journal(tmp_path)).values()
    assert results(again)[0] == [(0, COUNT)] and results(again)[2:] == results(alone)[2:]
    close()
