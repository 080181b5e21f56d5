"""QuantGRU on a GPU: the checks of benchmarks/quantgru_gpu.py, and that script itself on the CPU."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from benchmarks import quantgru_gpu  # noqa: E402
from quant_gru import QuantGRU  # noqa: E402

CHECKS = {
    "contexts": quantgru_gpu.contexts,
    "larger": quantgru_gpu.larger_codes,
    "training": quantgru_gpu.training,
    "float_mode": quantgru_gpu.float_mode,
    "threads": lambda device: quantgru_gpu.threads(device, False),
    "threads_own_streams": lambda device: quantgru_gpu.threads(device, True),
    "drawn": lambda device: quantgru_gpu.drawn_problems(device, 30),
}


@pytest.mark.gpu
@pytest.mark.parametrize("check", CHECKS)
def test_on_the_gpu(check):
    found = CHECKS[check]("cuda")
    assert found["ok"], found


@pytest.mark.gpu
def test_a_module_moves_between_devices():
    torch.manual_seed(0)
    gru, x = QuantGRU(5, 7, use_quantization=True), torch.randn(6, 4, 5)
    gru.calibrate(x)
    with torch.no_grad():
        here = gru(x)[0]
        there = gru.cuda()(x.cuda())[0]
        assert there.is_cuda and torch.equal(there.cpu(), here)
        gru.calibrate(x.cuda() * 2)
        wanted = gru(x.cuda())[0].cpu()
        assert torch.equal(gru.cpu()(x)[0], wanted)


@pytest.mark.parametrize("check", ["contexts", "threads", "float_mode"])
def test_the_checks_pass_on_the_cpu(check):
    assert CHECKS[check]("cpu")["ok"]


def test_a_check_sees_what_is_wrong(monkeypatch):
    plain = quantgru_gpu.QuantGRU.forward_codes
    monkeypatch.setattr(quantgru_gpu.QuantGRU, "forward_codes", lambda self, x: (plain(self, x)[0] + 1, plain(self, x)[1]))
    monkeypatch.setattr(quantgru_gpu.itertools, "product", lambda *a: [("mshift", 8, 8, 1)])
    assert quantgru_gpu.larger_codes("cpu") == {"numbers": 160, "wrong": ["mshift C=8 H=8 N=1"], "ok": False}


def test_the_script_prints_json(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["quantgru_gpu.py", "--device", "cpu", "--problems", "1", "--repeats", "1"])
    for name in ("contexts", "larger_codes", "training", "float_mode", "threads", "overhead"):
        monkeypatch.setattr(quantgru_gpu, name, lambda *a: {"ok": True})
    assert quantgru_gpu.main() == 0
    assert json.loads(capsys.readouterr().out)["drawn"]["problems"] == 1
    monkeypatch.setattr(quantgru_gpu, "contexts", lambda *a: 1 / 0)
    assert quantgru_gpu.main() == 1
    assert "ZeroDivisionError" in json.loads(capsys.readouterr().out)["contexts"]["error"]
