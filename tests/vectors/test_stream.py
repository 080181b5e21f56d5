"""The pipe: operands out, results back, judged; any line that is no row is refused in one sentence."""

from __future__ import annotations

import io
import shlex
import subprocess
import sys

import pytest

from golden.spec.errors import ParameterError
from qgru.cli import main
from tests.meta.house import ROOT
from vectors.errors import VectorError
from vectors.minimum import LEAST
from vectors.steps import STEPS
from vectors.stream import default_count, header, judge, operands

PROGRAM = """
import sys
for line in sys.stdin:
    if line.startswith("#"):
        continue
    M, s, zp, bits, signed, v = (int(word, 16) for word in line.split())
    v, zp = v - (v >> 31 << 32), zp - (zp >> 31 << 32)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    q = (v * M + ((1 << s) >> 1) >> s) + zp
    q = min(max(q, low), high) {bug}
    print(line.rstrip(), format(q % (1 << bits), "0%dx" % ((bits + 3) // 4)))
"""


def ties(word_x, word_s, up):
    """A right shift in plain integers, as a line's result."""
    x, s = int(word_x, 16), int(word_s, 16)
    x -= x >> 63 << 64
    y = (x + (1 << s >> 1)) >> s if up or x >= 0 else -((-x + (1 << s >> 1)) >> s)
    return format(y % 2**64, "016x")


def answered(count, seed=3, wrong=()):
    for number, line in enumerate(operands("ties_up", seed, count)):
        yield f"{line} {ties(*line.split(), up=number not in wrong)}"


def test_a_program_that_is_right():
    assert judge("ties_up", answered(2800)) == (2800, [])
    assert judge("ties_up", answered(2800), seed=3) == (2800, [])


def test_comments_and_line_ends_do_not_count():
    lines = [*header("ties_up"), "", *(f"{line}\r\n" for line in answered(5)), "# the end"]
    assert judge("ties_up", lines, least_count=5) == (5, [])


def test_a_program_that_rounds_away_from_zero():
    rows, found = judge("ties_up", answered(300, wrong=range(300)), least_count=300)
    assert rows == 300 and found
    first = found[0]
    assert first.column == "y" and str(first).startswith(f"line {first.line}: y is ") and " for x " in str(first)


def test_too_few_rows_are_refused():
    with pytest.raises(VectorError, match="the stream: the number of rows is 2799, expected at least 2800"):
        judge("ties_up", answered(2799))


def test_operands_of_another_stream_and_left_out_rows_are_refused():
    with pytest.raises(VectorError, match=r"line \d+ is '.*', expected the operands "):
        judge("ties_up", answered(50, seed=4), seed=3, least_count=1)
    lines = list(answered(50))
    with pytest.raises(VectorError, match="line 8 is "):
        judge("ties_up", lines[:7] + lines[8:], seed=3, least_count=1)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("00000001 00 ffffffd6 08 1 80000000", "line 1 is 6 fields, expected operands and results of requantize, at least 7"),
        ("00000001 00 ffffffd6 08 1 80000000 80 80", "line 1 is more fields than that, expected 7 fields"),
        ("00000001 00", "line 1 is 2 fields, expected at least 5, the constants of requantize"),
        ("00000001 00 ffffffd6 08 1 80000000 8", "q at or after line 1 is '8', expected 2 lower-case hexadecimal digits"),
        ("00000001 00 ffffffd6 08 1 8000000G 80", "v at or after line 1 is '8000000G', expected 8 lower-case"),
        ("00000001 00 FFFFFFD6 08 1 80000000 80", "zp at or after line 1 is 'FFFFFFD6'"),
        (
            "00000001 3f ffffffd6 08 1 80000000 80",
            "s at or after line 1 is '3f does not fit 5 bits', expected a word of 5 bits",
        ),
        ("00000001 00 ffffffd6 00 1 80000000 80", "line 1 q is 'int0'"),
        ("00000001 00 ffffffd6 11 1 80000000 00000", "format is int17, expected 2 to 16 bits, or 32"),
        ("ffffffff 00 ffffffd6 08 1 80000000 80", "multiplier is 4294967295"),
        ("00000001  00 ffffffd6 08 1 80000000 80", "s at or after line 1 is ''"),
        ("\u00e4", "line 1 is '\\\\xe4', expected at most 4096 characters of ASCII"),
        ("0" * 5000, "expected at most 4096 characters of ASCII"),
    ],
)
def test_what_is_no_row(line, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        judge("requantize", [line], least_count=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("step", ["mshift_gate", "mshift_candidate"])
def test_constants_that_are_not_those_of_the_table(step):
    given = next(operands(step, 3, 1)).split(" ")
    at = [c.name for c in STEPS[step].constants].index("signed_pre")
    assert given[at] == "1"
    given[at] = "0"
    constants = {"bits_pre": 8, "signed_pre": 0}
    results = ["0" * ((c.width(constants) + 3) // 4) for c in STEPS[step].outputs]
    with pytest.raises(VectorError, match="line 1 table fmt_pre is int8, expected the format of the constants$"):
        judge(step, [" ".join([*given, *results])], least_count=1)


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_stream(step):
    lines = list(operands(step, 1, 400))
    assert lines == list(operands(step, 1, 400)) and len(lines) == 400
    head = header(step)
    assert head[0].startswith(f"# {step} [{STEPS[step].clause}]: ") and all(line.startswith("# table ") for line in head[1:])
    assert (len(head) > 1) == (STEPS[step].table is not None)
    fields = (
        len(STEPS[step].constants) + (STEPS[step].table is not None) + len(STEPS[step].inputs) * (7 if step == "linear" else 1)
    )
    assert {len(line.split(" ")) for line in lines} == {fields}
    zeros = " ".join("0" * ((c.width({}) if isinstance(c.bits, int) else 8) + 3 >> 2) for c in STEPS[step].outputs)
    answers = [f"{line} {zeros}" for line in lines]
    try:
        rows, found = judge(step, answers, seed=1, least_count=400)
    except VectorError as error:
        assert "hexadecimal digits" in str(error)  # a code of another width than eight bits
    else:
        assert rows == 400 and found
    assert default_count(step) == LEAST[step][0]


def test_an_unknown_step():
    for call in (lambda: header("cell"), lambda: list(operands("cell", 0, 1)), lambda: judge("cell", [])):
        with pytest.raises(ParameterError, match="step is 'cell', expected one of saturate"):
            call()


@pytest.mark.parametrize(("bug", "code"), [("", 0), ("or 1", 1)])
def test_the_commands_in_a_pipe(bug, code, tmp_path):
    program = tmp_path / "dut.py"
    program.write_text(PROGRAM.replace("{bug}", bug))
    command = f"{sys.executable} -m qgru vectors"
    pipe = f"{command} stream requantize --seed 5 | {sys.executable} {program} | {command} judge requantize --seed 5"
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True, timeout=300)
    last = done.stdout.splitlines()[-1]
    assert done.returncode == code and done.stderr == ""
    assert last.startswith("requantize: 5500 rows, ") and last.endswith("0 mismatches") == (code == 0)


def test_the_pipe_of_the_page_of_the_command(monkeypatch, capsys):
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    stream, _, judged = next(line for line in page.splitlines() if line.startswith("qgru vectors stream ties_up")).split(" | ")
    assert main(shlex.split(stream)[1:]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line if line.startswith("#") else f"{line} {ties(*line.split(), up=True)}" for line in lines]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(rows).encode())))
    assert main(shlex.split(judged)[1:]) == 0


class Endless(io.RawIOBase):
    """A stream of the digit 0 that no line ends."""

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b"0" * len(buffer)
        return len(buffer)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (io.BytesIO(b"\xff\xfe\n"), "the stream: line 1 is '\\udcff\\udcfe', expected at most 4096 characters of ASCII"),
        (io.BufferedReader(Endless()), "the stream: line 1 is '0000"),
        (None, "standard input is closed, expected rows with results"),
    ],
    ids=["no text", "a line without end", "closed"],
)
def test_standard_input_that_is_no_stream(monkeypatch, capsys, given, sentence):
    monkeypatch.setattr("sys.stdin", given and io.TextIOWrapper(given, encoding="utf-8"))
    assert main(["vectors", "judge", "requantize"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"qgru: {sentence}") and printed.err.count("\n") == 1 and printed.out == ""


def test_a_comment_of_any_length_is_passed_over(monkeypatch, capsys):
    text = "\n".join(["#" * 9000, *answered(5), "# the end " * 1000])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main(["vectors", "judge", "ties_up", "--at-least", "5"]) == 0
    assert capsys.readouterr().out == "ties_up: 5 rows, 0 mismatches\n"
