"""Changes of weights that torch does not count: those of fused optimizers, which write past the versions."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


class Keeper(Protocol):
    """What keeps things made of weights."""

    def forget(self, places: frozenset[int]) -> None:
        """Drop what was made of weights in these storages."""


_KEEPERS: weakref.WeakSet[Any] = weakref.WeakSet()


def watch(keeper: Keeper) -> None:
    """Have keeper.forget called after every step of an optimizer, with the storages of the parameters that have a gradient."""
    _KEEPERS.add(keeper)


def storage_of(tensor: torch.Tensor) -> int:
    """The address of a tensor's storage; 0 where it has none."""
    try:
        return int(tensor.untyped_storage().data_ptr())
    except RuntimeError:
        return 0


def _after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    if not len(_KEEPERS):
        return
    stepped = (p for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
    places = frozenset(storage_of(p) for p in stepped) - {0}
    for keeper in list(_KEEPERS):
        keeper.forget(places)


register_optimizer_step_post_hook(_after_step)
