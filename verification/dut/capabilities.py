"""What a device says that it does; what it does not say is listed as not run, never as passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from golden.spec.layout import FIELDS
from verification.dut.failure import DeviceError
from verification.dut.frames import PROTOCOL

OPTIONS = ("reverse", "zoneout", "mask", "training", "h0", "state", "refusals")
"""What a case may need: the reverse direction, an inference zoneout, a mask, v, an initial state, a state with moving
ranges to go on from, and saying no to what must be refused."""
LIMITS = ("T", "N", "C", "H", "rows", "lanes")
OUTPUT = "output"  # the outputs [T,N,H] alone, for a device that does not give h
ANY = "*"

Promise = tuple[str, ...] | None  # the outputs that are due; None when they are not said


@dataclass(frozen=True)
class Capabilities:
    """What a device does.

    name       what it calls itself
    steps      step -> outputs that it promises, or None for all of them
    datapaths  datapath -> trace fields that it promises, or None for at least h or output, and more where it likes
    options    of OPTIONS
    limits     T, N, C, H, rows, lanes -> the most that it takes
    """

    name: str = ""
    steps: Mapping[str, Promise] = field(default_factory=dict)
    datapaths: Mapping[str, Promise] = field(default_factory=dict)
    options: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict)

    def missing(self, kind: str, name: str, needs: frozenset[str], sizes: Mapping[str, int]) -> str | None:
        """Why a case is not run, in a few words, or None when the device says that it does it."""
        listed = self.steps if kind == "step" else self.datapaths
        if name not in listed and ANY not in listed:
            return f"the {'step' if kind == 'step' else 'datapath'} {name} is not declared"
        for option in OPTIONS:
            if option in needs and option not in self.options and ANY not in self.options:
                return f"{option} is not declared"
        for limit, most in self.limits.items():
            if sizes.get(limit, 0) > most:
                return f"{limit} = {sizes[limit]}, declared at most {most}"
        return None

    def promised(self, kind: str, name: str) -> Promise:
        """The outputs that are due for a step or a datapath, or None when they are not said."""
        listed = self.steps if kind == "step" else self.datapaths
        return listed.get(name, listed.get(ANY))


def read_capabilities(plain: Any, spec: str) -> Capabilities:
    """The capabilities of a device's JSON.

    plain    {"protocol": 1, "name", "steps", "datapaths", "options", "limits"}; steps and datapaths are lists of names or
             objects name -> list of outputs, with "*" for all; whatever is left out is not done
    Raises   DeviceError naming the field and the value
    """

    def refuse(name: str, found: Any, expected: str) -> DeviceError:
        return DeviceError(f"{spec}: capabilities {name} is {found!r}, expected {expected}")

    if not isinstance(plain, Mapping):
        raise refuse("object", plain, "a JSON object")
    if plain.get("protocol", PROTOCOL) != PROTOCOL:
        raise refuse("protocol", plain["protocol"], str(PROTOCOL))
    known = {"protocol", "name", "steps", "datapaths", "options", "limits"}
    for name in plain:
        if name not in known:
            raise refuse(str(name), "an unknown field", f"one of {', '.join(sorted(known))}")
    options, limits = plain.get("options", []), plain.get("limits", {})
    if not isinstance(options, list) or any(o not in (*OPTIONS, ANY) for o in options):
        raise refuse("options", options, f'a list of {", ".join(OPTIONS)}, or of "*" for all')
    if not isinstance(limits, Mapping) or any(k not in LIMITS or type(v) is not int or v < 0 for k, v in limits.items()):
        raise refuse("limits", limits, f"whole numbers of at least 0 for {', '.join(LIMITS)}")
    listed = {}
    for name in ("steps", "datapaths"):
        try:
            listed[name] = _promises(plain.get(name, []), name == "datapaths")
        except ValueError as error:
            raise refuse(name, str(error), "a list of names, or an object from names to lists of outputs") from None
    return Capabilities(str(plain.get("name", "")), listed["steps"], listed["datapaths"], frozenset(options), dict(limits))


def _promises(value: Any, datapaths: bool) -> dict[str, Promise]:
    if isinstance(value, list):
        value = {str(name): None for name in value}
    if not isinstance(value, Mapping):
        raise ValueError(str(value))
    names = _step_outputs() if not datapaths else {k: (*(f.name for f in v), OUTPUT) for k, v in FIELDS.items()}
    out: dict[str, Promise] = {}
    for name, outputs in value.items():
        if name not in (*names, ANY) or not (outputs is None or isinstance(outputs, list)):
            raise ValueError(f"{name}: {outputs}")
        known = names[name] if name != ANY else tuple(output for some in names.values() for output in some)
        for output in outputs or ():
            if output not in known:
                raise ValueError(f"{name}: {output}")
        out[name] = None if outputs is None else tuple(outputs)
    return out


def _step_outputs() -> dict[str, tuple[str, ...]]:
    from vectors.steps import STEPS

    return {name: tuple(c.name for c in step.outputs) for name, step in STEPS.items()}
