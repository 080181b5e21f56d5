"""What workers are asked in the tests of worker processes with a GPU each; imported by them."""

from __future__ import annotations

import os
import sys
import time
from typing import Any


def seen(piece: Any) -> tuple[str, str | None, bool]:
    """(piece, the GPU that this process may use, whether numba.cuda was loaded); slow, so that every worker gets one."""
    time.sleep(0.5)
    return str(piece), os.environ.get("CUDA_VISIBLE_DEVICES"), "numba.cuda" in sys.modules
