"""Sweeps: every step equal on samples, indices that mean what they say, differences that are found, journals, the plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden.spec.errors import ParameterError
from golden.spec.formats import IntFormat
from golden.spec.rounding import Rounding
from verification.exact import gates as exact_gates
from verification.exact import hidden as exact_hidden
from verification.exact.gates import Op
from verification.sweeps import elements, runner, twin
from verification.sweeps.cupy_arrays import exact_options
from verification.sweeps.golden_side import golden_outputs, reals, space
from verification.sweeps.plans import plan, whole_plan
from verification.sweeps.report import checked, mismatch_lines, operands
from verification.sweeps.runner import Journal, Piece, both_codes, pieces, run_all, run_gpu, run_host, same_on_gpu
from verification.sweeps.summary import summary
from verification.sweeps.sweep import STEPS, Sweep, parsed

ROOT = Path(__file__).parents[2]
WHOLE = 1 << 32


@pytest.mark.parametrize("step", STEPS)
def test_golden_and_the_twin_are_equal_on_a_part(step):
    for sweep in plan(step)[::7]:
        for start in (0, sweep.size // 2 - 100, sweep.size - 200):
            piece = Piece(sweep, start, start + 200)
            outcome = run_host(piece, chunk=128)
            assert (outcome.compared, outcome.mismatches, outcome.first) == (200 * len(sweep.outputs), 0, None)


@pytest.mark.parametrize(
    ("step", "params", "index", "codes"),
    [
        ("ties_up", "s=1", 2**31 - 3, (-1,)),  # -1.5
        ("ties_away", "s=1", 2**31 - 3, (-2,)),
        ("ties_even", "s=1", 2**31 - 1, (0,)),  # -0.5
        ("ties_up", "s=0", 0, (-(2**31),)),
        ("ties_up", "s=31", WHOLE - 1, (1,)),
        ("requantize", "M=3 s=1 zp=-7 fmt=int8", 2**31 + 5, (1,)),  # 7.5 -> 8
        ("requantize", "M=2147483647 s=0 zp=0 fmt=uint8", WHOLE - 1, (255,)),
        ("quantize", "scale=0.5 zp=-1 fmt=int8", 0x3F800000, (1,)),  # 1.0
        ("quantize", "scale=0.5 zp=0 fmt=int8", 0x7F800000, (127,)),  # inf
        ("quantize", "scale=0.5 zp=-5 fmt=int8", 0x7FC00001, (0,)),  # NaN
        ("quantize_reciprocal", "scale=0.5 zp=-1 fmt=int8", 0xBF800000, (-3,)),  # -1.0
        ("direct", "function=sigmoid scale=0.0078125 zp=0", 128, (64,)),  # sigmoid(0) * 127 = 63.5
        ("direct_wide", "function=tanh scale=0.0078125", 65535, (127,)),
        ("matmul", "zp=-128", 255, (0,)),  # (-128 + 128) * 127
        ("matmul", "zp=5", 1 << 8, (132 * 128,)),  # -127 - 5 times -128
        ("mshift_hidden", "m_gh=1 m_one=1 s=0 zp=-3", (100 << 16) | (130 << 8) | 127, (54, 54, 254, 127)),
        ("zoneout_blend", "zp=1", (127 << 8) | 3, (-2 * 32768, -1)),  # k = 2^15 keeps h_prev = -1
    ],
)
def test_an_index_means_what_it_says(step, params, index, codes):
    sweep = checked(parsed(step, params))
    for k, code in enumerate(codes):
        assert both_codes(sweep, index, k)[:2] == (code, code)


def test_a_candidate_by_hand():
    """r = 64, Rh = 100, br = 28: b = 128, rb = 8192, c = rb * 1 / 2 ** 0, a = Wx + c + bx."""
    sweep = Sweep(
        "mshift_candidate",
        {"s": 0, "s_b": 24, "m_b": 2**24, "m_rRh": 1, "m_g": 0, "Wx": 1000, "bx": -50, "br": 28, "zp": 7},
    )
    index = (64 << 25) | (100 + 2**24)
    assert [both_codes(sweep, index, k)[:2] for k in range(4)] == [(8192,) * 2, (8192,) * 2, (9142,) * 2, (7,) * 2]
    assert operands(sweep, index) == {"r": 64, "Rh": 100}


def judged_op(constants, name):
    """An operator of a sweep, all of 8 bits, for the judge."""
    return Op(IntFormat(8, name not in "zr"), constants[f"e_{name}"], constants[f"zp_{name}"])


@pytest.mark.parametrize("sweep", plan("pot_hidden")[::3], ids=str)
def test_hidden_of_datapath_p_by_the_judge(sweep):
    index, c, rounding = (200 << 16) | (17 << 8) | 250, sweep.constants, Rounding(sweep.constants["rounding"])
    assert operands(sweep, index) == {"z": 200, "g": -111, "h": 122}
    z, g, h, old, new = (judged_op(c, name) for name in "zghON")
    judge = exact_hidden.pot_hidden(200, -111, 122, exact_hidden.pot_one(z, rounding), z, g, h, old, new, rounding)
    for k, name in enumerate(sweep.outputs):
        assert both_codes(sweep, index, k)[:2] == (judge[name], judge[name])


@pytest.mark.parametrize("sweep", plan("pot_reset_path")[::3], ids=str)
def test_reset_path_of_datapath_p_by_the_judge(sweep):
    index, c, rounding = (9 << 8) | 5, sweep.constants, Rounding(sweep.constants["rounding"])
    assert operands(sweep, index) == {"r": 9, "Rh": -123}
    Rh, A, r, P = (judged_op(c, name) for name in ("Rh", "A", "r", "P"))
    judge = exact_gates.pot_reset_path(-123, c["br"], 9, Rh, c["e_br"], A, r, P, rounding)
    for k, name in enumerate(sweep.outputs):
        assert both_codes(sweep, index, k)[:2] == (judge[name], judge[name])


def test_reals_are_every_bit_pattern():
    assert reals(np, 0x3F800000, 0x3F800002).tolist() == [1.0, 1.0000001192092896]
    assert np.isnan(reals(np, WHOLE - 1, WHOLE)).all() and reals(np, 1 << 31, (1 << 31) + 1).tobytes() == b"\0\0\0\x80"


@pytest.fixture
def wrong_twin(monkeypatch):
    """ties_up of the twin replaced by its ties_away."""
    monkeypatch.setattr(elements, "ties_up_at", elements.ties_away_at)
    twin.loops.cache_clear()
    yield
    twin.loops.cache_clear()


def test_a_wrong_twin_is_found_where_it_is_wrong(wrong_twin):
    outcome = run_host(Piece(plan("ties_up")[1], 0, 1000), chunk=64)  # the negative ties: x odd
    assert (outcome.mismatches, outcome.first) == (500, (1, 0))
    lines = mismatch_lines(outcome)
    assert lines[0] == "MISMATCH ties_up [R-1] y: 500 of 1000 codes, first index 1"
    assert "x = -2147483647" in lines[2] and "twin -1073741824 (0xffffffffc0000000), golden -1073741823" in lines[3]
    assert lines[4] == '  replay: qgru sweep ties_up --params "s=1" --range 1:2'


@pytest.mark.parametrize("index", [0, 63, 64, 999])
def test_one_wrong_code_is_found_at_its_index(monkeypatch, index):
    def off_by_one(xp, sweep, start, stop, v=None):
        outputs = golden_outputs(xp, sweep, start, stop, v)
        if start <= index < stop:
            outputs[2][index - start] += 1
        return outputs

    monkeypatch.setattr(runner, "golden_outputs", off_by_one)
    outcome = run_host(Piece(plan("mshift_hidden")[4], 0, 1000), chunk=64)
    assert (outcome.compared, outcome.mismatches, outcome.first) == (4000, 1, (index, 2))


class Counting:
    """NumPy under another name, counting what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name):
        self.asked.append(name)
        return getattr(np, name)


@pytest.mark.parametrize("step", STEPS)
def test_goldens_own_code_runs_on_another_array_module(step):
    other = Counting()
    assert same_on_gpu(plan(step)[-1], 64, other) == 64 * len(STEPS[step][3])
    assert len(other.asked) > 8
    shared = space(other)
    from golden import rounding

    assert shared["ties_up"].__code__ is rounding.ties_up.__code__ and shared["ties_up"] is not rounding.ties_up
    assert rounding.np is np and space(np)["ties_up"] is rounding.ties_up


def test_another_result_of_the_array_module_is_refused():
    class Off(Counting):
        def minimum(self, a, b):
            return np.minimum(a, b) - 1

    with pytest.raises(
        ParameterError, match=r"golden's q of requantize M=0 .* in CuPy, index 0 is .*, expected NumPy's result"
    ):
        same_on_gpu(plan("requantize")[0], 64, Off())


def test_subnormals_are_kept_and_tell_the_difference():
    assert exact_options(("--std=c++17", "-ftz=true")) == ("--std=c++17", "-ftz=false", "-fmad=false", "-prec-div=true")
    least = next(s for s in plan("quantize") if s.constants["scale"] == 2.0**-149)

    class Flushing(Counting):
        def rint(self, t):
            return np.rint(np.where(np.abs(t) < 2.0**-126, np.float32(0), t))

        def arange(self, *a, **k):
            bits = np.arange(*a, **k)
            return np.where((bits & 0x7F800000) == 0, 0, bits)

    with pytest.raises(ParameterError, match="golden's q of quantize scale=1.401298464324817e-45 .* index 1 is another int64"):
        same_on_gpu(least, 1 << 12, Flushing())


def test_the_plan_is_what_was_promised():
    assert [len(plan(s)) for s in ("ties_up", "ties_away", "ties_even", "requantize", "quantize")] == [32, 32, 32, 200, 20]
    sweeps = whole_plan()
    assert len({s.name for s in sweeps}) == len(sweeps) and {s.step for s in sweeps} == set(STEPS)
    assert {s.constants["function"] for s in sweeps if "function" in s.constants} == {"sigmoid", "tanh"}
    for sweep in sweeps:
        assert checked(parsed(sweep.step, sweep.name.removeprefix(sweep.step))) == sweep
    again = plan("requantize")
    assert again[150].plain() == plan("requantize")[150].plain()
    assert sum(s.size for s in sweeps) > 320 * WHOLE


def test_pieces_cover_every_index_once():
    sweep = plan("direct")[0]
    assert [(p.start, p.stop) for p in pieces([sweep], 100)] == [(0, 100), (100, 200), (200, 256)]
    assert [(p.start, p.stop) for p in pieces([sweep], 100, 50, 1 << 40)] == [(50, 150), (150, 250), (250, 256)]
    assert pieces([sweep], 100, 256, 300) == []


def test_processes_return_every_piece():
    todo = pieces([plan("direct")[0]], 10)
    assert sorted(run_all(todo, 2, str)) == sorted(map(str, todo))


def test_a_journal_goes_on_where_it_was_torn(tmp_path):
    path = tmp_path / "journal"
    whole = pieces([plan("direct")[0]], 100)
    journal = Journal(path, False, "host")
    for piece in whole[:2]:
        journal.add(run_host(piece))
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"compared": 100, "fir')
    with pytest.raises(ParameterError, match="a file that is not there yet"):
        Journal(path, False, "host")
    again = Journal(path, True, "host")
    assert list(again.done) == [p.key for p in whole[:2]] and path.read_bytes().count(b"\n") == 2
    again.add(run_host(whole[2]))
    again.close()
    found = summary([entry | {"sweep": whole[0].sweep} for entry in Journal(path, True, "host").done.values()])
    (row,) = found["steps"]
    assert (found["compared"], found["mismatches"], row["inputs"], row["whole"], row["sweeps"]) == (256, 0, 256, 1, 1)
    path.write_text('{"piece": 5}\n')
    with pytest.raises(ParameterError, match="expected a line of a sweep's journal"):
        Journal(path, True, "host")


@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        ("requantize", "M=1 s=2 zp=0", "expected a value for each of M, s, zp, fmt"),
        ("requantize", "M=1.5 s=2 zp=0 fmt=int8", "--params M is 1.5, expected an integer"),
        ("requantize", "M=1 s=2 zp=0 fmt=7", "--params fmt is 7, expected a word"),
        ("requantize", "M=1 s=2 zp=0 fmt=int8 x=1", "--params x is 1, expected only M, s, zp, fmt"),
        ("requantize", "M=1 s=2 zp=4294967296 fmt=int8", r"--params zp is 4294967296, expected an integer in \["),
        ("ties_up", "s=-1", r"--params s is -1, expected an integer in \[0, 100\]"),
        ("ties_up", "s", "--params is 's', expected NAME=VALUE"),
        ("ties_up", "s=[1]", r"--params is 's=\[1\]', expected a number or a word"),
        ("quantize", "scale=0 zp=0 fmt=int8", "--params scale is 0, expected a positive, finite binary32 number"),
        ("quantize", "scale=1e60 zp=0 fmt=int8", "--params scale is 1e"),
        ("pot_hidden", plan("pot_hidden")[0].name[11:].replace("ties_away", "ties_up"), "expected ties_away or ties_even"),
        ("nothing", "s=1", "STEP is 'nothing', expected one of ties_up"),
    ],
)
def test_constants_are_checked(step, text, message):
    with pytest.raises(ParameterError, match=message):
        checked(parsed(step, text))


def test_the_script_for_a_gpu_runs_dry_and_goes_on(tmp_path):
    call = [sys.executable, str(ROOT / "benchmarks" / "sweep_gpu.py"), str(tmp_path), "--dry-run", "--limit", "300"]
    done = subprocess.run([*call, "--step", "matmul", "--step", "direct"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "sweep-gpu.json").read_text())
    assert found["complete"] and found["mismatches"] == 0 and found["failed"] == {} and found["compared"] == 7 * 300 + 16 * 256
    assert subprocess.run([*call, "--step", "matmul"], capture_output=True, timeout=300).returncode == 2
    again = subprocess.run([*call, "--step", "matmul", "--resume"], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0 and len((tmp_path / "journal.jsonl").read_text().splitlines()) == 23


def test_the_script_for_gpus_runs_dry_on_a_process_for_each(tmp_path):
    call = [sys.executable, str(ROOT / "benchmarks" / "sweep_gpu.py"), str(tmp_path), "--dry-run", "--limit", "300"]
    call += ["--gpus", "2", "--step", "matmul", "--step", "direct"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "sweep-gpu.json").read_text())
    assert found["complete"] and found["mismatches"] == 0 and found["failed"] == {} and found["compared"] == 7 * 300 + 16 * 256
    assert found["gpus"] == 2 and set(found["sampled"]) == {"matmul", "direct"}


@pytest.mark.cudasim
@pytest.mark.parametrize("step", STEPS)
def test_the_kernel_in_the_simulator(step):
    sweep = plan(step)[1]
    start = sweep.size // 2 - 100
    piece = Piece(sweep, start, start + 150)
    outcome = run_gpu(piece, chunk=64, kind="simulator")
    assert (outcome.compared, outcome.mismatches, outcome.first) == (150 * len(sweep.outputs), 0, None)
    planted = run_gpu(piece, chunk=64, kind="simulator", plant=start + 77)
    assert (planted.mismatches, planted.first) == (len(sweep.outputs), (start + 77, 0))


@pytest.mark.gpu
@pytest.mark.parametrize("step", STEPS)
def test_on_a_gpu(step):
    pytest.importorskip("cupy")
    sweep = plan(step)[-1]
    assert same_on_gpu(sweep) > 0
    outcome = run_gpu(Piece(sweep, 0, min(sweep.size, 1 << 20)))
    assert outcome.mismatches == 0 and run_gpu(outcome.piece, plant=200).first == (200, 0)


@pytest.mark.ptx
@pytest.mark.parametrize("step", ["quantize", "quantize_reciprocal", "pot_hidden"])
def test_the_kernel_for_a_gpu_compiles_without_fused_operations(step, monkeypatch):
    import numba.cuda.dispatcher as dispatcher
    from numba import cuda, types

    class Hopper:
        compute_capability = (9, 0)

    monkeypatch.setattr(dispatcher, "get_current_device", Hopper)
    i, reals_, numbers = types.int64, types.Array(types.float32, 1, "C"), types.Array(types.int64, 1, "C")
    signature = (i, i, numbers, reals_, numbers, reals_, types.Array(types.int64, 2, "C"), numbers)
    kernel = twin.loops("gpu", step)["grid_differing"]
    text = cuda.compile(kernel.py_func, signature, cc=(9, 0), device=False, abi="numba")[0]
    assert "fma.rn.f32" not in text and "atom" in text
