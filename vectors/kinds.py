"""The kinds of cases, and what the manifest and the files hold of each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.spec.profile import profile
from vectors.case import Case, pack, unpack
from vectors.chain_case import ChainCase, chain_arrays, chain_entry, unpack_chain
from vectors.content import content_sha256
from vectors.describe import describe
from vectors.error_case import ErrorCase, error_arrays, error_entry, unpack_error
from vectors.step_case import StepCase, step_arrays, step_entry, unpack_step

AnyCase = Case | StepCase | ChainCase | ErrorCase
KINDS = ("sequence", "step", "chain", "error")
_UNPACK: dict[str, Any] = {"sequence": unpack, "step": unpack_step, "chain": unpack_chain, "error": unpack_error}


def pack_case(case: AnyCase) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(entry of the manifest without its file, arrays) of a case of any kind.

    Raises a QgruError for what JSON cannot hold
    """
    if isinstance(case, Case):
        params, arrays = pack(case)
        described = describe(case.params, arrays)
        options = {"zoneout": case.zoneout, "training": case.training, "reverse": case.reverse}
        own: dict[str, Any] = {"datapath": case.params.datapath, "options": options, "params": params}
        own["profile"] = profile(case.params)
    else:
        entry_of: Any = {"step": step_entry, "chain": chain_entry, "error": error_entry}[case.kind]
        arrays_of: Any = {"step": step_arrays, "chain": chain_arrays, "error": error_arrays}[case.kind]
        own, listed = entry_of(case), arrays_of(case)
        arrays = {name: array for name, (array, *_) in listed.items()}
        described = {name: array_entry(*item) for name, item in listed.items()}
    if "profile" in own:
        own["profile_sha256"] = profile_sha256(own["profile"])
    entry = {
        "id": case.id,
        "kind": case.kind,
        "level": case.level,
        "group": case.group,
        "comment": case.comment,
        "flags": dict(case.flags),
        **own,
        "arrays": described,
        "content_sha256": content_sha256(arrays),
    }
    return entry, arrays


def unpack_case(entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> AnyCase:
    """The case of a manifest's entry and its arrays.

    Raises a QgruError with the first field that is missing, unknown or wrong
    """
    return _UNPACK[entry["kind"]](entry, arrays)


def array_entry(array: np.ndarray, role: str, fmt: str, clause: str) -> dict[str, Any]:
    """What the manifest says of an array."""
    shape = [int(n) for n in array.shape]
    return {"dtype": array.dtype.name, "shape": shape, "role": role, "format": fmt, "clause": clause}


def profile_sha256(value: Mapping[str, Any]) -> str:
    """SHA-256 of a profile as JSON with sorted keys and without spaces, as golden.spec.profile.profile_hash does it."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
