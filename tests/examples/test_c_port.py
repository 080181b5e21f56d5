"""The C port equals golden in every stage, built at -O0, at -O2 and under the sanitizers."""

from __future__ import annotations

import ctypes
import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from golden.rounding import ties_away, ties_even, ties_up
from tests.examples import c_port, c_text
from tests.examples.c_problems import Problem, draw

COUNT = 240
SANITIZE = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
DATAPATHS = ("mshift", "pot")


@pytest.fixture(scope="module", params=["-O0", "-O2"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """libqgru_c.so at one level of optimization."""
    return c_port.load(c_port.build(tmp_path_factory.mktemp("c") / f"libqgru_c{request.param}.so", request.param))


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_library_equals_golden(library: ctypes.CDLL, datapath: str) -> None:
    accepted = 0
    for seed in range(COUNT):
        problem = draw(datapath, seed)
        call = c_port.Call(problem)
        status = call.forward(library)
        assert status in (c_port.OK, c_port.EWIDTH), f"{datapath} {seed}: status {status}"
        found = call.fields | {"h": call.h} if status == c_port.OK else None
        assert c_port.difference(problem, found) is None, f"{datapath} {seed}"
        if problem.p == 0 or problem.mask is not None:
            assert (call.fields["h_zoneout_acc"] == -77777).all(), f"{datapath} {seed}: written without a zoneout"
        accepted += status == c_port.OK
    assert COUNT > accepted > COUNT * 3 // 4


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_harness_under_the_sanitizers_equals_golden(datapath: str, tmp_path: Path) -> None:
    harness = c_port.build(tmp_path / "harness", *SANITIZE, harness=True)
    problems = [draw(datapath, seed) for seed in range(COUNT)]
    (tmp_path / "problems.txt").write_text("".join(map(c_text.problem_text, problems)))
    done = subprocess.run([str(harness), str(tmp_path / "problems.txt")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    found = c_text.traces(done.stdout)
    assert len(found) == COUNT
    assert [d for d in map(c_port.difference, problems, found) if d] == []


@pytest.mark.parametrize("flags", [("-O0",), ("-O2", "-Wconversion", "-Wshadow"), SANITIZE])
def test_literals_of_the_harness(flags: tuple[str, ...], tmp_path: Path) -> None:
    harness = c_port.build(tmp_path / "harness", *flags, harness=True)
    done = subprocess.run([str(harness)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all literals hold\n", "")


def test_stored_problems_have_goldens_traces() -> None:
    problems = c_text.problems((c_port.SOURCE / "problems.txt").read_text())
    assert [p.datapath for p in problems] == ["mshift"] * 12 + ["pot"] * 12
    expected = (c_port.SOURCE / "expected.txt").read_text()
    assert "".join(map(c_text.expected_text, problems)) == expected


def test_makefile(tmp_path: Path) -> None:
    c_port.gcc()
    try:
        done = subprocess.run(
            ["make", "-C", str(c_port.SOURCE), f"BUILD={tmp_path}", "all", "test"], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("make is missing: install the Debian package make")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("all literals hold") == 3
    assert (tmp_path / "libqgru_c.so").exists()


def test_shifts_at_the_ends_of_int64(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(5)
    ends = [0, 1, -1, 2, -2, 3, -3, 2**31, -(2**31), 2**62, -(2**62), 2**62 - 1, 2**63 - 2, 2 - 2**63]
    drawn = [int(rng.integers(-(2**62), 2**62)) >> int(rng.integers(0, 62)) for _ in range(100)]
    for s in range(0, 63):
        for x in [*ends, *drawn, 2**s, -(2**s), 3 << max(s - 1, 0) if s < 62 else 1, -(3 << max(s - 1, 0)) if s < 62 else -1]:
            half = 1 << s >> 1
            up = (x + half) >> s
            away = (abs(x) + half >> s) * (1 if x >= 0 else -1)
            tie = s > 0 and abs(x) & ((1 << s) - 1) == half
            even = away - (1 if x >= 0 else -1) if tie and away % 2 else away
            assert library.qgru_ties_up(x, s) == up
            assert library.qgru_ties_away(x, s) == away
            assert library.qgru_ties_even(x, s) == even


def test_shifts_equal_golden(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(6)
    for s in range(0, 63):
        x = np.concatenate(
            [rng.integers(-(2**62), 2**62, 50), rng.integers(-8, 8, 20), np.array([1, -1, 3, -3]) * 2 ** max(s - 2, 0)]
        )
        for name, golden in (("ties_up", ties_up), ("ties_away", ties_away), ("ties_even", ties_even)):
            function = getattr(library, f"qgru_{name}")
            assert [function(int(v), s) for v in x] == golden(x, s).tolist(), (name, s)
    for s in range(-20, 0):
        for name in ("ties_away", "ties_even"):
            assert [getattr(library, f"qgru_{name}")(v, s) for v in (-5, 0, 7)] == [-5 << -s, 0, 7 << -s]


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_run_without_a_trace_gives_the_same_h(library: ctypes.CDLL, datapath: str) -> None:
    for seed in range(0, 30, 3):
        with_trace, without = (c_port.Call(draw(datapath, seed)) for _ in range(2))
        status = with_trace.forward(library)
        assert without.forward(library, trace=False) == status
        assert (with_trace.h == without.h).all()
        assert all((a == -77777).all() for a in without.fields.values())


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_a_single_wanted_field_is_written(library: ctypes.CDLL, datapath: str) -> None:
    seed = next(s for s in range(99) if draw(datapath, s).x.shape[0] > 1 and draw(datapath, s).golden() is not None)
    for name in ("x", "z_acc", "g_bx_aligned", "v"):
        call = c_port.Call(draw(datapath, seed))
        for other in call.fields:
            setattr(call.trace, other, call.fields[other].ctypes.data if other == name else None)
        assert call.forward(library) == c_port.OK
        full = c_port.Call(draw(datapath, seed))
        assert full.forward(library) == c_port.OK
        assert (call.fields[name] == full.fields[name]).all()
        assert all((a == -77777).all() for other, a in call.fields.items() if other != name)


def _legal(datapath: str) -> Problem:
    """A legal problem with steps, an initial state and a mask."""
    for seed in range(999):
        problem = draw(datapath, seed)
        if problem.mask is not None and problem.mask.size and problem.h0 is not None and problem.golden() is not None:
            return problem
    raise AssertionError("no legal problem was drawn")


REFUSED = {
    "no params": ("both", lambda c: setattr(c, "params", None), c_port.ENULL),
    "W missing": ("both", lambda c: setattr(c.params, "W", None), c_port.ENULL),
    "x missing": ("both", lambda c: setattr(c.run, "x", None), c_port.ENULL),
    "h missing": ("both", lambda c: setattr(c.run, "h", None), c_port.ENULL),
    "mask missing": ("both", lambda c: setattr(c.run.zoneout, "mask", None), c_port.ENULL),
    "another struct": ("both", lambda c: setattr(c.params, "struct_size", 8), c_port.ESIZE),
    "another run": ("both", lambda c: setattr(c.run, "struct_size", 8), c_port.ESIZE),
    "no hidden unit": ("both", lambda c: setattr(c.params, "hidden", 0), c_port.ESIZE),
    "no input": ("both", lambda c: setattr(c.params, "inputs", 0), c_port.ESIZE),
    "no row": ("both", lambda c: setattr(c.run, "batch", 0), c_port.ESIZE),
    "negative steps": ("both", lambda c: setattr(c.run, "steps", -1), c_port.ESIZE),
    "reverse 2": ("both", lambda c: setattr(c.run, "reverse", 2), c_port.EPARAM),
    "zoneout kind 3": ("both", lambda c: setattr(c.run.zoneout, "kind", 3), c_port.EPARAM),
    "x outside": ("both", lambda c: _poke(c, "x", 65536), c_port.ECODE),
    "h0 outside": ("both", lambda c: _poke(c, "h0", -65536), c_port.ECODE),
    "mask 2": ("both", lambda c: _poke(c, "mask", 2), c_port.ECODE),
    "gate of 12 bits": ("mshift", lambda c: setattr(c.params, "gate_bits", 12), c_port.EPARAM),
    "shift 32": ("mshift", lambda c: setattr(c.params.m_bx, "shift", 32), c_port.EPARAM),
    "negative multiplier": ("mshift", lambda c: setattr(c.params.m_bx, "multiplier", -1), c_port.EPARAM),
    "m_rRh of 2**24": ("mshift", lambda c: setattr(c.params.m_rRh, "multiplier", 2**24), c_port.EPARAM),
    "zp_h far out": ("mshift", lambda c: setattr(c.params, "zp_h", 2**24), c_port.EWIDTH),
    "rounding 2": ("pot", lambda c: setattr(c.params, "rounding", 2), c_port.EPARAM),
    "exponent 31": ("pot", lambda c: setattr(c.params.P, "exponent", 31), c_port.EPARAM),
    "exponent -16": ("pot", lambda c: setattr(c.params.x, "exponent", -16), c_port.EPARAM),
    "z_out signed": ("pot", lambda c: setattr(c.params.z_out, "fmt", c_port.Format(-128, 127)), c_port.EPARAM),
    "no format": ("pot", lambda c: setattr(c.params.O, "fmt", c_port.Format(-100, 99)), c_port.EPARAM),
    "17 bits": ("pot", lambda c: setattr(c.params.O, "fmt", c_port.Format(-65536, 65535)), c_port.EPARAM),
    "table of another zero point": ("pot", lambda c: setattr(c.params.act_g, "zero_point_in", 99999), c_port.EPARAM),
    "33 segments": ("pot", lambda c: _segments(c, 33), c_port.ESIZE),
    "no segment": ("pot", lambda c: _segments(c, 0), c_port.ESIZE),
}


def _poke(call: c_port.Call, name: str, value: int) -> None:
    problem = call.problem
    array = np.array({"x": problem.x, "h0": problem.h0, "mask": problem.mask}[name])
    array.reshape(-1)[-1] = value
    if name == "mask":
        call.run.zoneout.mask = call.pointer(array)
    else:
        setattr(call.run, name, call.pointer(array))


def _segments(call: c_port.Call, count: int) -> None:
    call.params.act_z.kind = 2
    call.params.act_z.segments = count


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_nothing_written(library: ctypes.CDLL, name: str) -> None:
    which, change, expected = REFUSED[name]
    for datapath in DATAPATHS if which == "both" else (which,):
        call = c_port.Call(_legal(datapath))
        assert call.forward(library, trace=False) == c_port.OK
        call = c_port.Call(_legal(datapath))
        change(call)
        function = getattr(library, f"qgru_{datapath}_forward")
        params = None if call.params is None else ctypes.byref(call.params)
        assert function(params, ctypes.byref(call.run), ctypes.byref(call.trace)) == expected
        assert (call.h == -77777).all()
        assert all((a == -77777).all() for a in call.fields.values())


@pytest.mark.parametrize(
    ("zp_h", "status"), [(2**24 - 129, c_port.OK), (2**24 - 128, c_port.EWIDTH), (127 - 2**24, c_port.EWIDTH)]
)
def test_the_last_state_zero_point_that_keeps_rh_in_int32(library: ctypes.CDLL, zp_h: int, status: int) -> None:
    seeds = (s for s in range(999) if s % 3 < 2)
    problem = next(p for p in (draw("mshift", s) for s in seeds) if p.fields["R"].shape[0] == 1 and p.x.shape[0] > 1)
    problem = dataclasses.replace(problem, fields=problem.fields | {"zp_h": zp_h})
    call = c_port.Call(problem)
    assert call.forward(library) == status
    assert c_port.difference(problem, call.fields | {"h": call.h} if status == c_port.OK else None) is None
