"""Worker processes with a GPU each: their names, their turns, and who is given some."""

from __future__ import annotations

import os

import pytest

from qgru import fuzz
from tests.verification.gpu_workers import seen
from verification import gpus
from verification.fuzz.farm import Job, local_farm
from verification.sweeps.runner import run_all


@pytest.mark.parametrize(
    ("chosen", "count", "names"),
    [
        (None, 3, ("0", "1", "2")),
        ("2,5", 2, ("2", "5")),
        (" 2 , GPU-8f0a ", 2, ("2", "GPU-8f0a")),
        ("1,-1,0", 1, ("1",)),
        ("0", 1, ("0",)),
    ],
)
def test_names_are_those_of_the_variable(chosen, count, names):
    assert gpus.names_of(chosen, count) == names


def test_where_no_gpu_answers_there_are_none(monkeypatch):
    monkeypatch.setattr("cuda_impl.launch.gpu_usable", lambda: False)
    assert gpus.visible_gpus() == ()


def test_the_gpus_of_this_process_are_counted(monkeypatch):
    monkeypatch.setattr("cuda_impl.launch.gpu_usable", lambda: True)
    monkeypatch.setattr("cuda_impl.fast.gpu_device.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,-1")
    assert gpus.visible_gpus() == ("4", "6")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.visible_gpus() == ("0", "1")


def test_workers_take_turns(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "all")
    turn, taken = gpus.turns(), []
    for _ in range(5):
        gpus.take_gpu(turn, ("3", "7"))
        taken.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert taken == ["3", "7", "3", "7", "3"]
    gpus.take_gpu(None, ())
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"


def test_processes_of_a_sweep_see_a_gpu_each(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = list(run_all([1, 2, 3, 4], 2, seen, ("5", "9")))
    assert sorted(piece for piece, _, _ in found) == ["1", "2", "3", "4"]
    assert {gpu for _, gpu, _ in found} == {"5", "9"} and not any(loaded for *_, loaded in found)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert [gpu for _, gpu, _ in run_all([1], 2, seen)] == [None]


def test_processes_of_a_campaign_see_a_gpu_each(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    jobs = iter([Job(n, seen, (n,)) for n in range(4)])
    found = [gpu for _, (_, gpu, _) in local_farm(2, ("1", "0")).run(lambda: next(jobs, None))]
    assert len(found) == 4 and set(found) == {"0", "1"}


@pytest.mark.parametrize(
    ("workers", "spec", "names", "given"),
    [
        (2, "py:cuda_impl.sequence:forward", ("0", "1"), ("0", "1")),
        (2, "py:cuda_impl.sequence:forward", ("0",), ()),
        (1, "py:cuda_impl.sequence:forward", ("0", "1"), ()),
        (2, "twin", ("0", "1"), ()),
    ],
)
def test_a_campaign_is_given_gpus_where_a_device_is_tested(workers, spec, names, given, monkeypatch):
    asked = []
    monkeypatch.setattr(gpus, "visible_gpus", lambda: names)
    monkeypatch.setattr("verification.fuzz.farm.local_farm", lambda *arguments: asked.append(arguments))
    fuzz._farm(workers, spec)
    assert asked == [(workers, given)]
