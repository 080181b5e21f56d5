"""How a run with one product a step is cut up: padded sizes, spans of steps, rows of a block, when it is worth it."""

from __future__ import annotations

TERMS = 64  # what the terms of a product with the state, and its units, come in
SPAN_BYTES = 256 << 20  # of an input product at a time
SPAN_STEPS = 128  # at most so many steps in one graph, two launches each


WORTH = 2**29  # N * H * H from which a product a step is the faster: measured at H = 512 ... 2048, N = 128 ... 1024


def worth_steps(batch: int, hidden: int) -> bool:
    """Whether one product a step is faster than a kernel whose blocks keep their weights and meet at every step."""
    return batch * hidden * hidden >= WORTH


def padded_width(hidden: int) -> int:
    """Units of a gate, and terms of the product with the state: a multiple of 64."""
    return -(-hidden // TERMS) * TERMS


def span_steps(steps: int, batch: int, width: int, most_bytes: int = SPAN_BYTES, most_steps: int = SPAN_STEPS) -> int:
    """Steps of a span, whose int32 input product [span * batch, 3 * width] stays within most_bytes where two steps do.

    All steps where they fit; else an even number, so that every span begins with the same of the two state buffers.
    """
    fit = min(most_steps, most_bytes // (batch * 3 * width * 4))
    return steps if steps <= fit else min(steps, max(2, fit // 2 * 2))


def spans(steps: int, span: int, reverse: bool) -> list[tuple[int, int]]:
    """(first time, steps) of every span, in the order of processing; the last one may be shorter."""
    found = []
    for done in range(0, steps, max(1, span)):
        count = min(span, steps - done)
        found.append((steps - done - count if reverse else done, count))
    return found


def row_groups(batch: int, tiles: int, blocks: int, warps: int) -> tuple[int, int]:
    """(groups, rows of a group): groups times tiles is about `blocks`, no warp of a block is without rows but in the last."""
    groups = max(1, min(-(-batch // warps), blocks // tiles))
    rows = -(-batch // groups)
    return -(-batch // rows), rows
