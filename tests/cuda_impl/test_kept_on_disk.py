"""Compiled programs on disk: a full disk or a damaged file costs the time of compiling, and nothing else."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """if True:
    import numpy as np
    from cuda_impl.elementwise import map_step
    from quant_gru.module_host import to_reals
    reals = np.zeros(2, np.float32)
    to_reals(np.array([3, -3], np.int32), np.int64(1), np.float32(0.5), reals)
    print(map_step("saturate", np.array([300, -5]), -128, 127, device="host").tolist(), reals.tolist())
"""
RESULT = "[127, -5] [1.0, -2.0]\n"


def small_disk():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))


def run(folder, limit=None):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    call = [sys.executable, "-B", "-c", CODE]
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, preexec_fn=limit, timeout=120)
    assert (done.returncode, done.stdout) == (0, RESULT), done.stderr


def kept(folder, kind):
    return sorted(folder.rglob(f"*.{kind}"))


def test_a_full_disk(tmp_path):
    run(tmp_path, small_disk)
    run(tmp_path)
    assert len(kept(tmp_path, "nbc")) == 2


@pytest.mark.parametrize(("kind", "length"), [("nbi", 0), ("nbc", 60)])
def test_a_file_that_was_cut(tmp_path, kind, length):
    run(tmp_path)
    whole = {file: file.stat().st_size for file in kept(tmp_path, kind)}
    assert len(whole) == 2
    for file in whole:
        os.truncate(file, length)
    run(tmp_path)
    assert all(file.stat().st_size > length for file in whole)  # it is whole again


@pytest.mark.ptx
def test_kept_ptx_is_whole_or_is_compiled_again(tmp_path, monkeypatch):
    pytest.importorskip("numba.cuda")
    from numba import cuda

    from cuda_impl.fast import gpu_driver

    made = []

    def compile_(function, signature, **options):
        made.append(function)
        return f"// PTX of {function}\n}}\n", None

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cuda, "compile", compile_)
    text = "// PTX of a\n}\n"

    def found():
        return gpu_driver.compiled("key", lambda: ("a", None))

    assert [found(), found()] == [text] * 2 and made == ["a"]
    (path,) = gpu_driver.cache_folder().iterdir()
    whole = path.read_bytes()
    for damaged in (b"", whole[:9], whole[:-3], whole.replace(b"}", b"{"), b"\xff" + whole, whole + b"\0", text.encode()):
        path.write_bytes(damaged)
        made.clear()
        assert found() == text and made == ["a"] and path.read_bytes() == whole
    path.unlink()
    monkeypatch.setattr(gpu_driver.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "no room")))
    assert found() == text and list(gpu_driver.cache_folder().iterdir()) == []
