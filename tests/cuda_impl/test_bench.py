"""qgru bench: how it times, that it never gives a figure without the bits, and its command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from qgru import bench, bench_measure, bench_modes, bench_peers, bench_plot, bench_suites
from qgru.bench_measure import figure, gru_macs, summary, time_all
from qgru.run import MISMATCH, guarded

SIZE = (3, 2, 4, 5)


def test_every_contender_is_timed_as_often_in_rounds():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    found = time_all(calls, 9, timer=lambda call, times: call() or 1.0, rest=0)
    assert {name: len(samples) for name, samples in found.items()} == {"a": 9, "b": 9}
    rounds = [name for i, name in enumerate(order) if i == 0 or order[i - 1] != name]
    assert rounds == ["a", "b"] * 3


def test_short_calls_are_timed_in_a_row():
    asked = []
    time_all({"a": lambda: None}, 3, timer=lambda call, times: asked.append(times) or 1e-3, rest=0)
    assert asked == [1, 10, 10, 10]


def test_figures():
    assert gru_macs(2, 3, 5, 7) == 2 * 3 * 3 * 7 * 12
    found = summary([0.003, 0.001, 0.002], 10, 4_000_000)
    assert found["ms"] == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert found["us_per_step"] == 200.0 and found["gmac_s"] == 2.0
    assert figure(123456) == 123500.0


def test_the_bits_of_every_mode_are_goldens():
    network = bench_modes.drawn(SIZE)
    found, absent = bench_modes.modes(network, ("mshift", "pot", "dynamic", "pot16", "trace"), "host")
    assert absent == {} and [mode.name for mode in found] == ["mshift", "pot", "dynamic", "pot16", "trace"]
    for mode in found:
        record = bench_modes.check_bits(mode)
        assert record["equal"] and record["reference"] == "golden" and record["rows"] == "all", record
        assert record["codes_compared"] == 4 * 2 * 5 and record["repeats"] == 20


def test_a_whole_trace_of_a_large_run_is_not_timed(monkeypatch):
    monkeypatch.setattr(bench_modes, "TRACE_UNITS", 29)
    found, absent = bench_modes.modes(bench_modes.drawn(SIZE), ("trace",), "host")
    assert found == [] and "expected at most 29" in absent["trace"]


def test_of_a_large_run_drawn_rows_are_compared(monkeypatch):
    monkeypatch.setattr(bench_modes, "GOLDEN_MACS", gru_macs(3, 2, 4, 5))
    network = bench_modes.drawn((3, 16, 4, 5))
    (mode, moving), _ = bench_modes.modes(network, ("mshift", "dynamic"), "host")
    record = bench_modes.check_bits(mode)
    assert record["equal"] and len(record["rows"]) == 1 and record["codes_compared"] == 4 * 5
    assert bench_modes.check_bits(moving)["reference"] == "the twin on the host"


def test_golden_may_run_ahead_in_processes(monkeypatch):
    network = bench_modes.drawn((3, 16, 4, 5))
    found, _ = bench_modes.modes(network, ("mshift", "pot", "dynamic"), "host")
    with bench_modes.golden_ahead(found, "host", 2) as expected:
        assert expected == {}  # too short to be worth it
    monkeypatch.setattr(bench_modes, "AHEAD_MACS", 1)
    with bench_modes.golden_ahead(found, "host", 1) as expected:
        assert expected == {}  # nobody to do it
    with bench_modes.golden_ahead(found, "host", 2) as expected:
        assert bench_modes.check_bits(broken(found[0]), "host", expected["mshift"])["mismatches"] == 1
    monkeypatch.setattr(bench_modes, "GOLDEN_MACS", gru_macs(3, 4, 4, 5))  # the moving set is the twin's then
    with bench_modes.golden_ahead(found, "host", 2) as expected:
        assert set(expected) == {"mshift", "pot"}
        records = [bench_modes.check_bits(mode, "host", expected.get(mode.name)) for mode in found]
    alone = [bench_modes.check_bits(mode) for mode in found]
    for record, other in zip(records, alone, strict=True):
        assert record["equal"] and record | {"reference_seconds": 0} == other | {"reference_seconds": 0}


def broken(mode):
    """A mode one of whose codes is wrong."""

    def states(run):
        found = mode.states(run).copy()
        found[2, 1, 3] += 1
        return found

    return replace(mode, states=states)


def test_a_run_that_is_not_exact_gets_no_figure(monkeypatch, tmp_path):
    real = bench_suites.modes
    monkeypatch.setattr(bench_suites, "modes", lambda *a: ([broken(m) if m.name == "pot" else m for m in real(*a)[0]], {}))
    floors = {"meeting_us": {"1": 1.0}, "int8_gmac_s": {"1": 100.0}}
    record = bench_suites.configuration(SIZE, ("mshift", "pot"), "host", 3, floors, peers=False, advance=lambda n: None)
    assert [entry["name"] for entry in record["entries"]] == ["qgru mshift"]
    assert {bits["mode"]: bits["mismatches"] for bits in record["bits"]} == {"mshift": 0, "pot": 1}
    assert not bench_suites.is_exact({"cpu": {"configurations": [record]}})
    monkeypatch.setattr(bench_suites, "host_floors", lambda: floors)
    monkeypatch.setattr(bench_suites, "cpu_peers", lambda network, threads: ({}, {}))
    monkeypatch.setattr(bench_suites, "MODES", ("pot",))
    arguments = ["--sizes", "3,2,4,5", "--repeat", "3", "--json", "--out", str(tmp_path / "bench.json")]
    assert guarded(bench.command, arguments) == MISMATCH


def test_runs_that_differ_from_each_other_are_found():
    (mode,), _ = bench_modes.modes(bench_modes.drawn(SIZE), ("mshift",), "host")
    count = iter(range(100))
    record = bench_modes.check_bits(replace(mode, states=lambda run: mode.states(run) + np.int8(next(count) == 7)))
    assert record["mismatches"] == 0 and not record["repeats_equal"] and not record["equal"]


def test_a_missing_peer_is_listed(monkeypatch):
    def absent(*_arguments):
        raise ImportError("No module named 'onnxruntime'")

    monkeypatch.setattr(bench_peers, "onnxruntime_call", absent)
    calls, missing = bench_peers.cpu_peers(bench_modes.drawn(SIZE), 1)
    assert missing["onnxruntime"] == "No module named 'onnxruntime'"
    assert "onnxruntime GRU fp32" not in calls


def test_the_peers_compute_the_same_network():
    """torch and onnxruntime on the drawn weights: the same states, to the accuracy of their floats."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    network = bench_modes.drawn((4, 3, 5, 6))
    calls, _ = bench_peers.cpu_peers(network, 1)
    torch_states = calls["torch.nn.GRU fp32"]()[0].numpy()
    onnx_states = calls["onnxruntime GRU fp32"]()[0][:, 0]
    assert np.abs(torch_states - onnx_states).max() < 1e-5
    quantized = calls["torch.ao dynamic qint8"]()[0].numpy()
    assert 0 < np.abs(torch_states - quantized).max() < 0.1


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,0", "a,b,c,d", "1,2,3,4,5", ""])
def test_a_bad_size_is_refused(text, capsys):
    assert guarded(bench.command, ["--sizes", text]) == 2
    assert "expected four positive integers T,N,C,H" in capsys.readouterr().err


def test_a_plot_without_a_grid_is_refused(capsys):
    assert guarded(bench.command, ["--plot", "x.png"]) == 2
    assert "expected the suite grid or all" in capsys.readouterr().err


@pytest.mark.parametrize(("suite", "option"), [("grid", "--sizes"), ("fuzz", "--sizes"), ("fuzz", "--repeat")])
def test_an_option_that_a_suite_does_not_have_is_refused(suite, option, capsys):
    value = {"--sizes": "2,1,4,4", "--repeat": "5"}[option]
    assert guarded(bench.command, ["--suite", suite, option, value]) == 2
    assert f"{option} is given with --suite {suite}, expected" in capsys.readouterr().err


def test_the_command_writes_what_it_shows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench_suites, "MODES", ("mshift", "pot"))
    monkeypatch.setattr(bench_suites, "host_floors", lambda: {"meeting_us": {"1": 1.0}, "int8_gmac_s": {"1": 100.0}})
    monkeypatch.setattr(bench_measure, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(bench_suites, "cpu_peers", lambda network, threads: ({"nothing": lambda: None}, {"torch": "gone"}))
    target = tmp_path / "a" / "bench.json"
    assert guarded(bench.command, ["--sizes", "3,2,4,5", "--repeat", "3", "--out", str(target)]) == 0
    shown = capsys.readouterr().out
    assert "mshift: exact, 40 codes against golden, all rows" in shown and "torch: missing (gone)" in shown
    (record,) = json.loads(target.read_text())["cpu"]["configurations"]
    assert [e["name"] for e in record["entries"]] == ["qgru mshift", "qgru pot", "nothing"]
    assert set(record["entries"][0]["ratios"]) == {"nothing"}
    assert record["entries"][0]["times_the_floor"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--suite", "grid", "--plot", "grid.nope"], "--plot is 'grid.nope', expected a name that ends in one of "),
        (["--suite", "grid", "--plot", "grid"], "--plot is 'grid', expected a name that ends in one of "),
        (["--suite", "grid", "--plot", "taken"], "qgru: taken: is a folder, expected a file"),
        (["--out", "taken"], "qgru: taken: is a folder, expected a file"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_timed(arguments, sentence, capsys, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    monkeypatch.setattr(bench_suites, "run_suites", lambda *arguments: pytest.fail("something was timed"))
    assert guarded(bench.command, arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_the_plot_of_a_grid(tmp_path):
    pytest.importorskip("matplotlib")
    entry = {"name": "qgru mshift", "ms": {"median": 1.0}}
    sizes = [{"T": 1, "N": 2, "C": 3, "H": 4}, {"T": 2, "N": 4, "C": 6, "H": 8}]
    axes = {axis: [{"size": s, "entries": [entry]} for s in sizes] for axis in "TNH"}
    assert bench_plot.series("N", axes["N"]) == {"qgru mshift": [(2, 1.0), (4, 1.0)]}
    bench_plot.draw(axes, tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


def test_help_loads_no_peer():
    code = "import sys; import qgru.bench; print([m for m in ('torch', 'onnxruntime', 'numba', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
