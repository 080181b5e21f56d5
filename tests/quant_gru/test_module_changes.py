"""Steps of optimizers are seen by the next forward, also of those that do not count what they change."""

from __future__ import annotations

import copy
import gc

import pytest

torch = pytest.importorskip("torch")

from quant_gru import QuantGRU, module_changes  # noqa: E402

X = torch.linspace(-1, 1, 9 * 4 * 3).view(9, 4, 3)


def made(layers=1):
    torch.manual_seed(0)
    module = QuantGRU(3, 5, num_layers=layers)
    module.calibrate(X)
    module.use_quantization = True
    return module


def fresh(module):
    """What a module that has prepared nothing gives with these weights."""
    other = QuantGRU(3, 5, num_layers=module.num_layers)
    other.load_state_dict(module.state_dict())
    return other(X)[0]


class Unseen(torch.optim.Optimizer):
    """Writes through .data, as compiled optimizers of other packages do."""

    def __init__(self, params):
        super().__init__(params, {})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data.sub_(0.3 * p.grad.sign())


OPTIMIZERS = {
    "adam, fused": lambda p: torch.optim.Adam(p, 0.1, fused=True),
    "adamw, fused": lambda p: torch.optim.AdamW(p, 0.1, fused=True),
    "sgd, fused": lambda p: torch.optim.SGD(p, 1.0, fused=True),
    "adam, foreach": lambda p: torch.optim.Adam(p, 0.1, foreach=True),
    "adam, one by one": lambda p: torch.optim.Adam(p, 0.1, foreach=False),
    "another package's": Unseen,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_is_seen(name):
    module = made(2)
    optimizer = OPTIMIZERS[name](module.parameters())
    for _ in range(3):
        before = module(X)[0]
        before.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        after = module(X)[0]
        assert not torch.equal(before, after)
        assert torch.equal(after, fresh(module))


def test_another_parameter_on_the_same_memory_is_seen():
    module = made()
    before = module(X)[0]
    module.weight_ih_l0 = torch.nn.Parameter(module.weight_ih_l0.data.mul_(2))
    assert not torch.equal(module(X)[0], before)
    assert torch.equal(module(X)[0], fresh(module))


def test_a_step_is_seen_by_copies_and_not_by_others():
    module = made()
    other, twin = made(), copy.deepcopy(module)
    for each in (module, other, twin):
        each(X)
    prepared = dict(other._quantization.prepared)
    optimizer = OPTIMIZERS["sgd, fused"](twin.parameters())
    twin(X)[0].sum().backward()
    optimizer.step()
    assert torch.equal(twin(X)[0], fresh(twin)) and not torch.equal(twin(X)[0], module(X)[0])
    (device,) = prepared
    assert other._quantization.prepared[device] is prepared[device]


def test_parameters_without_a_gradient_keep_what_was_prepared():
    module = made()
    module(X)
    (entry,) = module._quantization.prepared.values()
    OPTIMIZERS["sgd, fused"](module.parameters()).step()
    assert next(iter(module._quantization.prepared.values())) is entry


def test_nothing_is_kept_alive():
    gc.collect()
    before = len(module_changes._KEEPERS)
    module = made()
    assert len(module_changes._KEEPERS) > before
    del module
    gc.collect()
    assert len(module_changes._KEEPERS) == before


def test_a_tensor_without_storage_has_no_place():
    assert module_changes.storage_of(torch.empty(2, device="meta")) == 0
    x = torch.zeros(4)
    assert module_changes.storage_of(x) == module_changes.storage_of(x[2:]) == x.data_ptr()
