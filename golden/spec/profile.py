"""The semantic profile: every choice that decides bits, as JSON, and its hash.

Two sets of vectors with the same hash were made under the same clauses with the same choices.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from golden.spec.layout import GATES, OPERATORS
from golden.spec.params import Params

SPEC_VERSION = "1.0"
_COMMON = {
    "spec": SPEC_VERSION,
    "gate_order": list(GATES),
    "weight_layout": "W [C,3H], R [H,3H]",
    "saturation": "clamp",
    "reset": "after the product",
    "update": "z keeps the previous state",
    "zoneout_mask": "1 keeps",
    "zoneout_blend": "ties_up, 15 bits",
    "zero_point": "subtracted exactly; added before rounding in quantize, after rounding in requantize",
    "quantize_rounding": "nearest even",
    "bias_rounding": "nearest even",
}


def profile(params: Params) -> dict[str, Any]:
    """The semantic profile of a parameter set, JSON-ready."""
    p: Any = params
    out: dict[str, Any] = dict(_COMMON, datapath=p.datapath, quantize="reciprocal" if p.reciprocal else "division")
    if p.datapath == "pot":
        out["shift_rounding"] = p.rounding.value
        out["formats"] = {name: str(p.operators[name].fmt) for name in OPERATORS}
        out["activations"] = {k: getattr(p, f"act_{k}").kind for k in GATES}
        out["piecewise_rounding"] = "ties_away"
        out["code_of_one"] = "GP-6"
        return out
    out["shift_rounding"] = "ties_up"
    out["accumulator"] = "int32"
    out["activations"] = {k: "direct" if p.gate_bits == 8 else "direct, 16-bit address" for k in GATES}
    out["gate_bits"] = p.gate_bits
    out["code_of_one"] = 127
    if p.datapath == "mshift-dynamic":
        out["ranges"] = {
            "ema": [0.9, 0.1],
            "x": "symmetric" if p.x_symmetric else "asymmetric",
            "h": "symmetric" if p.h_symmetric else "asymmetric",
            "shift": p.shift,
            "shift_bias": p.shift_bias,
        }
    return out


def profile_hash(params: Params) -> str:
    """SHA-256, in hex, of the profile as canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(profile(params), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
