"""A worker that dies within a result, and its command, which ends: python -m tests.verification.half_result FOLDER."""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

from verification.worker import workers


def half(mark: Path) -> None:
    """Write the length of a result and one byte of it."""
    frame: Any = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    os.write(frame.f_locals["result_queue"]._writer.fileno(), struct.pack("!i", 1000) + b"x")
    mark.touch()
    time.sleep(600)


def interrupted(mark: Path) -> None:
    with workers(1) as pool:
        pool.submit(half, mark)
        while not mark.exists():
            time.sleep(0.1)
        time.sleep(1)  # the pool's thread waits for the rest
        raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        interrupted(Path(sys.argv[1]) / "mark")
    except KeyboardInterrupt:
        print("ended", flush=True)
