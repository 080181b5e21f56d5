"""What each flag means, and which bug it finds: vectors/notes.json."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def notes() -> dict[str, dict[str, str]]:
    """flag -> {"bugType", "description", "effect"}."""
    return json.loads(files("vectors").joinpath("notes.json").read_text("ascii"))


def sentence(flag: str) -> str:
    """The sentence of a flag in a manifest: what it is and which bug it finds."""
    known = notes()[flag]
    return f"{known['description']} {known['effect']}"


def note(flag: str, text: str) -> dict[str, Any]:
    """The note of a flag in the manner of Wycheproof; text is what the manifest says of it."""
    known = notes().get(flag)
    return dict(known) if known is not None and sentence(flag) == text else {"bugType": "OTHER", "description": text}
