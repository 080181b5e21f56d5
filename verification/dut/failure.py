"""What can go wrong with a device under test, and how a case can end."""

from __future__ import annotations

from golden.spec.errors import QgruError

EQUAL = "equal"
DIFFERS = "differs"
NOT_RUN = "not run"
FAILURES: dict[str, str] = {
    "crash": "the process ended, by a signal or on its own, before it had answered",
    "hang": "no whole answer came in time; the process was killed",
    "short": "the answer lacks an array, or a part of one",
    "dtype": "an array of another type than was asked for",
    "shape": "an array of another shape than was asked for",
    "overrun": "something was written outside the buffer that the array has, or into an input",
    "protocol": "the bytes that came are no frame, or the answer holds what nobody asked for",
    "error": "the device says that the case is bad input or that it failed inside",
    "accepted": "a parameter set or an input that must be refused was taken",
}
"""Ways in which a case fails without codes to compare; each is reported with its case, and the run goes on."""
OUTCOMES = (EQUAL, DIFFERS, NOT_RUN, *FAILURES)


class DeviceError(QgruError):
    """A device that cannot be used at all: it does not start, or does not say what it can do.  One sentence."""


class Failure(Exception):
    """A case that failed.

    kind      key of FAILURES
    sentence  what happened, with the field and the value
    """

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


class NotSupported(Exception):
    """What a device's code may raise (or return NotImplemented) for a case that it does not do; the message is shown."""
