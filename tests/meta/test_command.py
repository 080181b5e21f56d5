"""The command's skeleton: exit codes, one sentence on stderr, JSON, files that appear complete or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import click
import numpy as np
import pytest

from golden.spec.errors import ParameterError
from qgru import __version__, cli, files, progress, run
from tests.meta.house import ROOT


def ending(body, arguments=()):
    """The exit code of a command whose body is given."""
    return run.guarded(click.Command("probe", callback=body), list(arguments))


def raiser(error):
    """A command body that raises."""

    def body():
        raise error

    return body


@pytest.mark.parametrize(("result", "code"), [(None, 0), (run.EXACT, 0), (run.MISMATCH, 1), (run.REFUSED, 2)])
def test_a_command_returns_its_exit_code(result, code):
    assert ending(lambda: result) == code


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ParameterError("s_x", 0.0, "a positive number"), "qgru: s_x is 0.0, expected a positive number\n"),
        (FileNotFoundError(2, "No such file or directory", "a.npz"), "qgru: a.npz: No such file or directory\n"),
        (OSError("disk on fire"), "qgru: disk on fire\n"),
        (MemoryError("2 TiB"), "qgru: memory is used up (2 TiB), expected a smaller input\n"),
        (ParameterError("x", "y" * 5000, "less"), f"qgru: x is {'y' * 1695} ... {'y' * 285}, expected less\n"),
        (
            ModuleNotFoundError("No module named 'g2p_en'", name="g2p_en"),
            'qgru: g2p_en is not installed, expected it for this command: pip install "qgru[examples]"\n',
        ),
        (run.refusal("two\nlines \x1b[31m"), "qgru: two lines \\x1b[31m\n"),
    ],
)
def test_bad_input_gets_one_sentence(error, sentence, capsys):
    assert ending(raiser(error)) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", sentence)


def test_a_defect_shows_its_traceback(capsys):
    assert ending(raiser(ZeroDivisionError("division by zero"))) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_missing_module_that_is_no_extra_is_a_defect(capsys):
    assert ending(raiser(ModuleNotFoundError("No module named 'qgru.nope'", name="qgru.nope"))) == 70
    assert "qgru.nope" in capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(error):
    assert ending(raiser(error)) == 130


def test_usage_errors_are_2(capsys):
    assert ending(lambda: 0, ["--nope"]) == 2
    assert cli.main(["nope"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_version_and_help(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"qgru {__version__}\n"
    assert cli.main(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out


def test_python_m_qgru_has_the_same_exit_codes():
    done = subprocess.run([sys.executable, "-m", "qgru", "nope"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_closed_and_full_streams_leave_the_exit_code(closed):
    code = "import sys,click; from qgru.run import guarded, refusal; say=lambda: (click.echo('x'), click.echo('y', err=True))\n"
    code += "def body():\n  if '2>/dev/full' not in sys.argv: say()\n  raise refusal('no')\n"
    code += "sys.exit(guarded(click.Command('probe', callback=body), []))"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" "$2" {closed}', sys.executable, code, closed], cwd=ROOT, capture_output=True
    )
    assert done.returncode == 2 and b"Traceback" not in done.stderr


@pytest.mark.parametrize(("encoding", "shown"), [("latin-1", b"\\u6f22\\udcff\n"), ("utf-8", b"\xe6\xbc\xa2\\udcff\n")])
def test_what_an_encoding_lacks_is_escaped(encoding, shown):
    code = "import sys,click; from qgru.run import guarded; body=lambda: click.echo(chr(0x6f22) + chr(0xdcff))\n"
    code += "sys.exit(guarded(click.Command('probe', callback=body), []))"
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, env={"PYTHONIOENCODING": encoding}, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, shown, b"")


def test_a_reader_that_goes_away_is_141():
    code = "import sys\nimport click\nfrom qgru.run import guarded\n"
    code += "body = lambda: [click.echo('x' * 1000) for _ in range(1000)] and None\n"
    code += "sys.exit(guarded(click.Command('probe', callback=body), []))"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    assert (child.wait(timeout=60), error) == (141, b"")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_listed_command_has_its_file(name):
    command = cli.group.get_command(click.Context(cli.group), name)
    assert isinstance(command, click.Command), f"qgru/{name}.py is not there"


def test_need_gives_the_module():
    assert run.need("json") is json


def test_json_is_canonical(capsys):
    run.print_json({"b": np.int64(3), "a": np.array([1, 2], np.int8), "c": None})
    assert capsys.readouterr().out == '{"a":[1,2],"b":3,"c":null}\n'
    with pytest.raises(ValueError):
        run.canonical_json({"x": float("nan")})
    with pytest.raises(TypeError):
        run.canonical_json({"x": object()})


def test_a_file_appears_complete(tmp_path):
    with files.atomic_file(tmp_path / "a.txt") as file:
        file.write("one\n")
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_bytes() == b"one\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), files.atomic_file(tmp_path / "a.bin", text=False) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_file_in_the_place_of_a_folder_is_refused_by_its_own_name(tmp_path):
    from quant_gru.files import atomic_path

    (tmp_path / "out").mkdir()
    missing = tmp_path / "missing"
    for write in (files.atomic_file, atomic_path):
        for path, named in ((tmp_path / "out", tmp_path / "out"), (missing / "a.txt", missing)):
            with pytest.raises(OSError) as error, write(path):
                pytest.fail("the block ran")
            assert run.os_sentence(error.value).startswith(f"{named}: is ")
    assert [p.name for p in tmp_path.iterdir()] == ["out"] and not any((tmp_path / "out").iterdir())


def test_what_is_no_file_is_refused_by_its_name_and_stays(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    long = "x" * 300
    names = {"folder": "is a folder", "pipe": "is a device or a pipe", "missing/a": "is no folder", long: "File name too long"}
    for name, reason in names.items():
        with pytest.raises(OSError, match=reason) as raised, files.atomic_file(tmp_path / name) as file:
            file.write("x")
        assert raised.value.filename in (str(tmp_path / name), str(tmp_path / "missing"))
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_link_to_a_file_stays(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with files.atomic_file(tmp_path / "link") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


@pytest.mark.parametrize(
    "arguments",
    [
        ["coverage", "nothing", "--merge"], ["prove", "requantize", "--record"],
        ["sweep", "ties_up", "--params", "s=3", "--record"], ["widths", "nothing", "--out"],
    ],
)  # fmt: skip
def test_where_a_result_goes_is_looked_at_before_the_work(arguments, tmp_path, capsys):
    if arguments[0] == "prove":
        pytest.importorskip("z3", reason="needs the extra qgru[proofs]")
    assert cli.main([*arguments, str(tmp_path / "missing" / "result")]) == 2
    assert capsys.readouterr() == ("", f"qgru: {tmp_path / 'missing'}: is no folder, expected one that exists\n")


def test_a_folder_appears_complete(tmp_path):
    with files.atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_is_replaced_only_when_asked(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("1")
    with pytest.raises(FileExistsError), files.atomic_folder(tmp_path / "out"):
        pytest.fail("the block ran")
    with files.atomic_folder(tmp_path / "out", replace=True) as folder:
        (folder / "new").write_text("2")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ZeroDivisionError), files.atomic_folder(tmp_path / "out", replace=True) as folder:
        (folder / "half").write_text("")
        raise ZeroDivisionError
    assert list((tmp_path / "out").iterdir()) == []
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(NotADirectoryError), files.atomic_folder(tmp_path / "out", replace=True):
        pytest.fail("the block ran")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("terminal", "seconds", "shown"),
    [(True, (0.0, 2.5, 3.0), True), (True, (0.0, 1.0, 1.9), False), (False, (0.0, 9.0, 9.5), False)],
)
def test_the_bar_shows_only_on_a_terminal_and_after_two_seconds(terminal, seconds, shown, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    ticks = iter(seconds)
    with progress.progress("comparing", 2, terminal=terminal, clock=lambda: next(ticks)) as advance:
        advance(1)
        advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("comparing" in err) is shown
