"""The recorded results of a full run: from `qgru prove --record`, for the page and the test that they are fresh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from verification.proofs.registry import registry, statement_digest
from verification.proofs.source import digest

PATH = Path(__file__).with_name("results.json")


def recorded() -> dict[str, Any]:
    """{"z3": version, "results": [...]}"""
    return json.loads(PATH.read_text(encoding="utf-8"))


def stale(results: dict[str, Any]) -> list[str]:
    """A sentence for every result that is not of the present sources."""
    found: list[str] = []
    by_name = {r["name"]: r for r in results["results"]}
    found += [f"{name} has no recorded result" for name in registry() if name not in by_name]
    for name, result in by_name.items():
        if name not in registry():
            found.append(f"{name} is no obligation")
            continue
        if result["statement"] != statement_digest(name):
            found.append(f"the statement of {name} has changed since its proof was run")
        changed = [f for f, d in result["functions"].items() if digest(f) != d]
        found += [f"{f} has changed since {name} was proven" for f in changed]
    return found
