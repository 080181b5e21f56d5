"""Devices that crash, hang, answer short, in the wrong type or outside their buffers: each is told, and the run goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from golden.spec.errors import QgruError
from tests.verification.dut_cases import DEVICES, requantize, run_case
from verification.dut.device import resolve
from verification.dut.examine import GIVE_UP, check
from verification.dut.failure import DeviceError
from verification.dut.library import HEADER

HERE = Path(__file__).parent
SECONDS = 3.0


def outcomes(spec, cases, seconds=SECONDS):
    with resolve(spec, seconds) as device:
        return {o.case.id: o for o in check(device, cases)}


def between(ids):
    """Each misdeed, and after it a case that must go well."""
    for number, (id, zp) in enumerate(ids):
        yield requantize(id, zp)
        yield requantize(f"good-{number}", 0)


def expect(found, wanted):
    assert {id: found[id].outcome for id in wanted} == {id: outcome for id, (outcome, _) in wanted.items()}
    for id, (outcome, words) in wanted.items():
        assert words in found[id].detail, found[id].detail
        assert found[id].failed == (outcome not in ("equal", "not run"))
    assert {o.outcome for id, o in found.items() if id.startswith("good")} == {"equal"}
    assert all(o.compared == 5 for id, o in found.items() if id.startswith("good"))


def test_python_devices():
    wanted = {
        "crash": ("crash", "SIGSEGV"),
        "hang": ("hang", "no answer within 3 seconds"),
        "narrow": ("dtype", "array q is int8, expected int32"),
        "flat": ("shape", "array q has the shape [4], expected [5]"),
        "silent": ("short", "array q is missing"),
        "overrun": ("overrun", "v: 4 bytes written after its buffer, the nearest 9 away"),
        "scribble": ("overrun", "v: an input was written to"),
        "extra": ("protocol", "array 'p' was not asked for"),
        "wrong": ("differs", ""),
        "fails": ("error", "ZeroDivisionError: division by zero"),
        "refuses": ("not run", "only odd days"),
        "leaves": ("crash", "exit status 3"),
        "strange": ("dtype", "q is a object, expected an array of numbers"),
        "declines": ("not run", "the device does not do it"),
        "deep": ("shape", "array q has the shape [1, 1, 1, 1, 5], expected 4 lengths at most"),
        "ragged": ("dtype", "q is a list (setting an array element with a sequence"),
    }
    found = outcomes(f"py:{DEVICES}:Misbehaving", between((id, zp) for zp, id in enumerate(wanted, 1)))
    expect(found, wanted)
    first = found["wrong"].comparison.first
    assert (first.row, first.got, first.expected, first.difference) == (1, -128, 8, -136)
    assert first.operands == {"v": -2}
    report = found["wrong"].report("device", "again").splitlines()
    assert report[:4] == [
        "MISMATCH device against expected, step requantize",
        "  column q [SPEC M-5], row 1",
        "  device    -128 (0x80)",
        "  expected  8 (0x08), difference -136",
    ]
    assert report[-1] == "  replay: again"


def compiled(folder, *flags):
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is missing: install the Debian package gcc")
    target = folder / "lib.so"
    source = [str(HERE / "dut_misbehaving.c"), "-I", str(HEADER.parent)]
    command = [gcc, "-std=gnu99", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *flags, "-o", str(target), *source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def test_shared_libraries(tmp_path):
    wanted = {
        "crash": ("crash", "SIGABRT"),
        "hang": ("hang", "no answer within 3 seconds"),
        "internal": ("error", "out of luck"),
        "bad-input": ("error", "refused as bad input: return code 2"),
        "unsupported": ("not run", "return code 1"),
        "silent": ("short", "array q is missing"),
        "short": ("short", "array q: 2 of 5 numbers were not written"),
        "overrun": ("overrun", "q: 4 bytes written after its buffer, the nearest 1 away"),
        "underrun": ("overrun", "q: 4 bytes written before its buffer, the nearest 1 away"),
        "scribble": ("overrun", "v: an input was written to"),
        "long-message": ("overrun", "message: 8 bytes written after its buffer, the nearest 1 away"),
    }
    library = compiled(tmp_path)
    found = outcomes(f"so:{library}", [*between((id, 0) for id in wanted), run_case()])
    expect(found, wanted)
    assert (found["m"].outcome, found["m"].detail) == ("not run", "the device does not do it: no function qgru_dut_sequence")


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("-DVERSION=7", "has version 7, expected 1"),
        ('-DCAPABILITIES="steps"', "its capabilities are no JSON"),
        ('-DCAPABILITIES="{\\"steps\\": [\\"nothing\\"]}"', "capabilities steps is 'nothing: None'"),
        ('-DCAPABILITIES="{\\"protocol\\": 2}"', "capabilities protocol is 2, expected 1"),
    ],
)
def test_libraries_that_cannot_be_used(tmp_path, flag, sentence):
    with pytest.raises(DeviceError) as error:
        resolve(f"so:{compiled(tmp_path, flag)}")
    assert sentence in str(error.value)


def test_programs():
    wanted = {
        "crash": ("crash", "SIGSEGV"),
        "hang": ("hang", "no answer within 3 seconds, 0 bytes so far"),
        "left-behind": ("crash", "ended with exit status 5"),
        "leave": ("crash", "closed its output without an answer, exit status 0"),
        "fail": ("crash", "ended with exit status 4; it said: no license left"),
        "print": ("protocol", "the answer starts with b'Simulation"),
        "cut": ("short", "the answer ends after"),
        "more": ("overrun", "3 bytes came after the end of the answer"),
        "short": ("short", "array q has 16 bytes, expected 20 for int32 [5]"),
        "missing": ("short", "array q is missing"),
        "wide": ("dtype", "array q is int64, expected int32"),
        "unknown-type": ("dtype", "array q is of type 'complex64'"),
        "shape": ("shape", "array q has the shape [5, 1], expected [5]"),
        "negative": ("protocol", "array q has the shape [-5]"),
        "twice": ("protocol", "array q is given twice"),
        "list": ("protocol", "the header is a list, expected an object"),
        "huge": ("protocol", "expected at most"),
        "status": ("protocol", "status is 'fine'"),
        "deep": ("short", "array q has 0 bytes, expected 20"),
        "nested": ("protocol", "the header is nested too deeply"),
        "lengths": ("protocol", "array q has the shape [4294967296, 4294967296, 0], expected lengths"),
        "problem": ("error", "queue full"),
        "stray": ("error", "queue full"),
    }
    program = f"cmd:{sys.executable} {HERE / 'dut_misbehaving.py'}"
    expect(outcomes(program, between((id, 0) for id in wanted)), wanted)


def test_what_comes_after_the_last_answer_is_seen_too():
    program = f"cmd:{sys.executable} {HERE / 'dut_misbehaving.py'}"
    found = outcomes(program, [requantize("good", 0), requantize("late", 0), run_case("not-declared")])
    assert {id: o.outcome for id, o in found.items()} == {"good": "equal", "late": "overrun", "not-declared": "not run"}
    assert "bytes came after the end of the last answer" in found["late"].detail


@pytest.mark.parametrize("seconds", [1e10, 1e300, float("inf")])
def test_a_timeout_without_end(seconds):
    program = f"cmd:{sys.executable} {HERE / 'dut_misbehaving.py'}"
    assert outcomes(program, [requantize("good")], seconds)["good"].outcome == "equal"


def test_an_answer_before_the_whole_request_is_read():
    program = f"cmd:{sys.executable} {HERE / 'dut_misbehaving.py'}"
    cases = [requantize("early", times=100_000), requantize("good"), requantize("unread", times=100_000), requantize("again")]
    found = outcomes(program, cases)
    assert {id: o.outcome for id, o in found.items()} == {
        "early": "not run", "good": "equal", "unread": "hang", "again": "equal"
    }  # fmt: skip
    assert found["early"].detail == "the device does not do it: so many rows"
    assert found["unread"].detail.startswith("it answered and left ")


def test_a_file_with_the_name_of_a_module_takes_its_place_nowhere(tmp_path):
    (tmp_path / "json.py").write_text(
        "def run(params, x, h0, **options):\n    import json\n    from golden.sequence import forward\n"
        "    json.dumps(options['reverse'])\n    return forward(params, x, h0, **options)\n",
        encoding="ascii",
    )
    assert outcomes(f"py:{tmp_path / 'json.py'}:run", [run_case()])["m"].outcome == "equal"


def test_modules_of_the_working_folder_take_the_place_of_no_other(tmp_path, monkeypatch):
    source = "from golden.sequence import forward\nimport json\n\nrun = forward if json.dumps else None\n"
    for name in ("mine", "golden", "json", "frames"):
        (tmp_path / f"{name}.py").write_text(source if name == "mine" else "raise RuntimeError\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    for spec in ("py:mine.py:run", "py:mine:run"):
        assert outcomes(spec, [run_case()])["m"].outcome == "equal"


def test_a_device_that_always_hangs_is_given_up():
    found = outcomes(f"py:{DEVICES}:Misbehaving", [requantize(f"h{i}", 2) for i in range(GIVE_UP + 2)], 0.5)
    assert [o.outcome for o in found.values()] == ["hang"] * GIVE_UP + ["not run"] * 2


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("nothing", "--dut is 'nothing', expected py:module:callable"),
        ("py:", "--dut is 'py:'"),
        ("py:math:nothing", "py:math:nothing is not there"),
        ("py:math", "py: device is 'math', expected module:callable"),
        ("py:math:pi", "py:math:pi is a float, expected a callable"),
        ("so:/nowhere/lib.so", "so:/nowhere/lib.so cannot be loaded"),
        ("cmd:/nowhere/program", "cmd:/nowhere/program cannot be started (No such file or directory)"),
        ("cmd:'", "No closing quotation"),
        ("cmd:true", "closed its output without an answer"),
        ("cmd:echo ready", "the answer starts with b'ready"),
        (f"py:{DEVICES}:Sets", "Sets: capabilities options is {'h0'}, expected what JSON holds"),
        (f"py:{DEVICES}:NumPyLimit", "NumPyLimit: capabilities limits is {'rows': np.int64(10)}, expected what JSON holds"),
        (f"py:{DEVICES}:Words", "Words: capabilities object is 'everything', expected a JSON object"),
        (f"py:{DEVICES}:NoCard", "NoCard fails as it starts (RuntimeError: no card in slot 3, in __init__ ("),
    ],
)
def test_devices_that_are_not_there(spec, sentence):
    with pytest.raises(QgruError) as error:
        resolve(spec)
    assert sentence in str(error.value) and "\n" not in str(error.value) and "File " not in str(error.value)
