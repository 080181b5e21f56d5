"""A write that the disk has no room for: one sentence that names the file, and nothing half written."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qgru.files import atomic_file, atomic_folder
from vectors import writer
from vectors.draw import Draw
from vectors.generate import planned

ROOT = Path(__file__).parents[2]
ROOM = 200  # bytes that a file may have


def small_disk():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


def limited(code, *arguments):
    call = [sys.executable, "-B", "-c", code, *map(str, arguments)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, preexec_fn=small_disk, timeout=120)


@pytest.mark.parametrize("size", [300, 100_000])  # in the buffer until the end, and not
def test_a_file_is_named(tmp_path, size):
    code = """if True:
    import sys
    import click
    from qgru.files import atomic_file
    from qgru.run import guarded
    @click.command()
    def write():
        with atomic_file(sys.argv[1]) as file:
            file.write("x" * int(sys.argv[2]))
    sys.exit(guarded(write, []))
    """
    done = limited(code, tmp_path / "out", size)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"qgru: {tmp_path / 'out'}: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_folder_is_named_where_it_would_be(tmp_path):
    code = """if True:
        import sys
        from qgru.files import atomic_file, atomic_folder
        try:
            with atomic_folder(sys.argv[1]) as folder, atomic_file(folder / "inner.json") as file:
                file.write("x" * 300)
        except OSError as error:
            print(error.filename)
    """
    done = limited(code, tmp_path / "out")
    assert (done.stdout, done.stderr) == (f"{tmp_path / 'out' / 'inner.json'}\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_vectors_is_named(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, "fsync", full)
    case = next(p for p in planned(1) if p.id == "saturate-uint2").make(Draw(0, "saturate-uint2"))
    with pytest.raises(OSError, match="No space left on device") as caught:
        writer.write_set(tmp_path / "set", [case], seed=0, version="1")
    assert caught.value.filename == str(tmp_path / "set") and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("journal", ["sweep", "fuzz"])
def test_a_journal_is_named_and_goes_on(tmp_path, journal):
    call = {
        "sweep": ["sweep", "direct", "--range", "0:2", "--jobs", "1", "--resume", str(tmp_path / "j")],
        "fuzz": ["fuzz", str(tmp_path), "--resume", "--examples", "8", "--max-size", "2", "--workers", "0"],
    }[journal]
    file = tmp_path / ("j" if journal == "sweep" else "journal.jsonl")
    if journal == "fuzz":
        file.write_text("")
    done = limited(f"import sys; from qgru.cli import main; sys.exit(main({call!r}))")
    assert done.returncode == 2 and done.stderr == f"qgru: {file}: File too large\n"
    assert file.stat().st_size == ROOM
    again = subprocess.run([sys.executable, "-m", "qgru", *call], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_other_errors_inside_are_left_as_they_are(tmp_path):
    for error in (OSError(errno.EPIPE, "gone"), OSError(errno.ENOSPC, "full", "elsewhere")):
        for block in (atomic_file, atomic_folder):
            with pytest.raises(OSError) as caught, block(tmp_path / "new"):
                raise error
            assert caught.value is error and list(tmp_path.iterdir()) == []
