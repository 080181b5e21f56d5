"""Frames and units of the corner runs, as the search found them.  Data only."""

from __future__ import annotations

CHOSEN: dict[str, dict[int, tuple[int, ...]]] = {"mshift": {}, "dynamic": {}, "pot": {}}
