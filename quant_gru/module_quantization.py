"""Configuration and calibration of a QuantGRU, and the prepared networks made of them; one object beside the weights."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from golden.spec.arrays import checked_int
from golden.spec.errors import ParameterError
from golden.spec.formats import INT32
from golden.spec.layout import SCALAR_OPERATORS
from golden.spec.params import MAX_EXPONENT, MIN_EXPONENT
from quant_gru import config as widths
from quant_gru import module_state as plain
from quant_gru.config import BitwidthConfig
from quant_gru.float_gru import FloatGru
from quant_gru.module_calibration import observe_layers
from quant_gru.module_changes import storage_of, watch
from quant_gru.module_network import Direction, make_direction
from quant_gru.module_params import Static, Template, check_fits, make_template, override, rebuild
from quant_gru.observers import PERCENTILE, Observers, checked_method

Grus = Sequence[Sequence[FloatGru]]
Points = dict[str, tuple[int | None, int | None]]
Versions = tuple[tuple[int, int, int | None], ...]
"""(identity, address, version) of every weight; no version for a tensor of inference mode, which does not count its changes."""
SETTINGS = ("method", "percentile", "ema", "datapath")


class Quantization:
    """What a QuantGRU knows besides its weights.

    config     widths of the operators
    method, percentile, ema, datapath  how scales are made of the data
    observers  statistics of every layer and direction, or None without data
    templates  finished calibration of every layer and direction, or None
    by_hand    operator -> (exponent, zero point) that were set, None where not
    pending    whether data or settings have changed since templates were made
    epoch      counts every change
    Everything that changes it holds the lock; a copy has a lock and prepared networks of its own.
    """

    def __init__(self) -> None:
        self.config = BitwidthConfig()
        self.method, self.percentile, self.ema, self.datapath = "histogram", float(PERCENTILE), False, "pot"
        self.observers: list[list[Observers]] | None = None
        self.templates: list[list[Template]] | None = None
        self.by_hand: Points = {}
        self.pending, self.epoch = False, 0
        self._fresh()

    def _fresh(self) -> None:
        self.lock = threading.RLock()
        self.prepared: dict[torch.device, tuple[tuple[int, Versions], list[list[Direction]], list[torch.Tensor]]] = {}
        watch(self)

    def __getstate__(self) -> dict[str, Any]:
        with self.lock:
            kept = {k: v for k, v in self.__dict__.items() if k not in ("lock", "prepared")}
            return kept | {"observers": None if self.observers is None else [list(v) for v in self.observers]}

    def __setstate__(self, kept: Mapping[str, Any]) -> None:
        self.__dict__.update(kept)
        self._fresh()

    @property
    def known(self) -> bool:
        """Whether there is data or a finished calibration."""
        return self.templates is not None or self.observers is not None

    def set(self, name: str, value: Any) -> None:
        """Set config, method, percentile, ema or datapath; scales are due to be made again when it is a change.

        Raises   ParameterError naming the setting
        """
        if name == "method":
            value = checked_method(value)
        elif name == "percentile":
            value = float(Observers("percentile", value).percentile)
        elif name == "ema":
            value = Observers(ema=value).ema
        elif name == "datapath":
            value = plain.checked_datapath(value)
        with self.lock:
            old = getattr(self, name)
            if value == old:
                return
            setattr(self, name, value)
            if name == "config" and value.operators == old.operators:  # disable_quantization, which no scale depends on
                return
            self.epoch += 1
            if self.observers is not None:
                self.pending = True
            elif self.templates is not None:
                self.templates = None
                text = "the loaded quantization parameters are dropped: they were made for other settings"
                warnings.warn(f"{text}; call calibrate(data)", stacklevel=4)

    def adjust(self, config: BitwidthConfig, points: Points) -> None:
        """Set the widths, and what is set by hand under them; neither where one is refused."""
        checked = {op: _checked_point(op, *point) for op, point in points.items()}
        with self.lock:
            self.set("config", config)
            for op, point in checked.items():
                self.set_by_hand(op, *point)

    def set_by_hand(self, op: str, exponent: int | None, zero_point: int | None) -> None:
        """Fix the exponent or the zero point of an operator in all layers and directions."""
        exponent, zero_point = _checked_point(op, exponent, zero_point)
        with self.lock:
            old = self.by_hand.get(op, (None, None))
            points: Points = {op: (old[0] if exponent is None else exponent, old[1] if zero_point is None else zero_point)}
            if self.templates is not None and not self.pending:  # those that are due to be made again have other formats
                self.templates = [[override(t, points) for t in layer] for layer in self.templates]
            self.by_hand |= points
            self.epoch += 1

    def observe(self, grus: Grus, x: np.ndarray, hx: np.ndarray | None, lengths: np.ndarray | None) -> None:
        """Take one batch in; arguments as in observe_layers."""
        with self.lock:
            known = self.observers or [[Observers(self.method, self.percentile, True) for _ in layer] for layer in grus]
            seen = [[o.using(self.method) for o in layer] for layer in known]  # a refused batch changes none of them
            observe_layers(grus, seen, x, hx, lengths)
            self.observers, self.pending = seen, True
            self.epoch += 1

    def finalize(self, grus: Grus) -> None:
        """Make templates of all data."""
        with self.lock:
            if self.observers is None:
                raise RuntimeError("QuantGRU has no calibration data, call calibrate(data) first")
            found = []
            for layer, seen in zip(grus, self.observers):
                uses = [o.using(self.method, self.percentile, ema=self.ema) for o in seen]
                made = [make_template(g, o, self.config, self.datapath) for g, o in zip(layer, uses)]
                found.append([override(t, self.by_hand) for t in made])
            self.templates, self.pending = found, False
            self.epoch += 1

    def reset(self) -> None:
        """Forget data, templates and what was set by hand."""
        with self.lock:
            self.observers, self.templates, self.pending, self.by_hand = None, None, False, {}
            self.epoch += 1

    def load(self, config: BitwidthConfig, datapath: str, templates: list[list[Template]]) -> None:
        """Take finished templates; data is forgotten."""
        with self.lock:
            self.reset()
            self.config, self.datapath, self.templates = config, datapath, templates

    def ready(self, grus: Any) -> list[list[Template]]:
        """The templates, finished when that is due; grus() gives the float networks."""
        with self.lock:
            if self.pending:
                self.finalize(grus())
            if self.templates is None:
                raise RuntimeError("QuantGRU is not calibrated, call calibrate(data) or load_quant_params(path) first")
            return self.templates

    def params(self, grus: Grus) -> list[list[Static]]:
        """The parameter sets of these weights."""
        templates = self.ready(lambda: grus)
        return [[rebuild(t, g) for t, g in zip(layer, nets)] for layer, nets in zip(templates, grus)]

    def directions(self, weights: Sequence[torch.Tensor], device: torch.device, grus: Any) -> list[list[Direction]]:
        """The prepared network of the weights and settings of the moment; prepared once for each of their versions.

        weights  all parameters; grus() gives them as float networks
        """
        entry = self.prepared.get(device)
        if entry is not None and self._is_of(entry[0], weights):
            return entry[1]
        with self.lock:
            entry = self.prepared.get(device)
            if entry is not None and self._is_of(entry[0], weights):
                return entry[1]
            versions = tuple([(id(w), w.data_ptr(), None if w.is_inference() else w._version) for w in weights])
            made = [[make_direction(p, device, bool(j)) for j, p in enumerate(layer)] for layer in self.params(grus())]
            if None not in (version for *_, version in versions):
                kept = [w.detach() for w in weights]  # their memory is not used again while it stands for them
                self.prepared[device] = ((self.epoch, versions), made, kept)
            return made

    def _is_of(self, known: tuple[int, Versions], weights: Sequence[torch.Tensor]) -> bool:
        """Whether what was prepared at this epoch and of these versions is what the moment asks for."""
        epoch, versions = known
        if epoch != self.epoch or len(versions) != len(weights):
            return False
        for weight, (same, place, version) in zip(weights, versions):  # no generator: this is a part of every forward
            if id(weight) != same or weight.is_inference() or weight.data_ptr() != place or weight._version != version:
                return False
        return True

    def forget(self, places: frozenset[int]) -> None:
        """Drop the prepared networks of weights in these storages: they were changed without being counted."""
        with self.lock:
            for device, (_, _, kept) in list(self.prepared.items()):
                if not places.isdisjoint(map(storage_of, kept)):
                    del self.prepared[device]

    def to_plain(self, use_quantization: bool) -> dict[str, Any] | None:
        """Tensors and plain values, for a state dict; None where everything is as it was made."""
        with self.lock:
            settings = {name: getattr(self, name) for name in SETTINGS}
            untouched = settings == {name: getattr(Quantization(), name) for name in SETTINGS}
            if untouched and not self.known and not use_quantization and self.config == BitwidthConfig() and not self.by_hand:
                return None
            return {
                "version": plain.VERSION,
                **settings,
                "use_quantization": use_quantization,
                "bitwidths": json.dumps(widths.to_plain(self.config)),
                "by_hand": json.dumps(self.by_hand),
                "pending": self.pending,
                "observers": plain.pack_observers(self.observers),
                "templates": plain.pack_templates(self.templates),
            }

    def from_plain(self, found: Any, shape: Sequence[Sequence[tuple[int, int]]]) -> bool:
        """Take what to_plain gave; shape gives (C, H) of every layer and direction.  Returns use_quantization.

        Raises   ParameterError naming the entry; nothing is taken then
        """
        names = ("version", *SETTINGS, "use_quantization", "bitwidths", "by_hand", "pending", "observers", "templates")
        if not isinstance(found, Mapping) or set(found) != set(names):
            raise ParameterError("extra state", "of another kind", f"a state of QuantGRU, version {plain.VERSION}")
        for name in names[:-2]:  # all but observers and templates
            if isinstance(found[name], torch.Tensor):
                raise ParameterError(name, "a tensor", "a plain value")
        if found["version"] != plain.VERSION:
            raise ParameterError("extra state", "of another kind", f"a state of QuantGRU, version {plain.VERSION}")
        new = Quantization()
        for name in SETTINGS:
            new.set(name, found[name])
        for name in ("use_quantization", "pending"):
            if not isinstance(found[name], bool):
                raise ParameterError(name, repr(found[name]), "true or false")
        new.config = widths.from_plain(plain.parsed("bitwidths", found["bitwidths"]))
        new.observers = plain.unpack_observers(found["observers"], shape)
        new.templates = plain.unpack_templates(found["templates"], shape)
        new.pending = found["pending"] and new.observers is not None
        for template in [t for layer in new.templates or () for t in layer if not new.pending]:
            check_fits(template, new.config, new.datapath)
        for op, (exponent, zero_point) in plain.points(found["by_hand"]).items():
            new.set_by_hand(op, exponent, zero_point)
        with self.lock:
            epoch = self.epoch + 1
            self.__dict__.update(new.__getstate__())
            self.epoch = epoch
        return bool(found["use_quantization"])


def _checked_point(op: str, exponent: int | None, zero_point: int | None) -> tuple[int | None, int | None]:
    """What may be set by hand before the format is known.  Raises ParameterError naming the operator or the number."""
    if op not in SCALAR_OPERATORS:
        raise ParameterError("operator", repr(op), f"one of {', '.join(SCALAR_OPERATORS)}")
    if exponent is not None:
        exponent = checked_int(f"{op} exponent", exponent, MIN_EXPONENT, MAX_EXPONENT)
    if zero_point is not None:
        zero_point = checked_int(f"{op} zero_point", zero_point, INT32.qmin, INT32.qmax)
    return exponent, zero_point
