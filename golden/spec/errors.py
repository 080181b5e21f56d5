"""What is raised when a parameter set, an input or a file is refused: one sentence, with the field and the value."""


class QgruError(ValueError):
    """Bad input.  The message is one sentence that names the field, the value and what was expected."""


class ParameterError(QgruError):
    """A field of a parameter set or an argument is of the wrong kind, shape or value."""

    def __init__(self, field: str, found: object, expected: str) -> None:
        super().__init__(f"{field} is {found}, expected {expected}")
        self.field = field
        self.found = found
        self.expected = expected

    def __reduce__(self):
        return type(self), (self.field, self.found, self.expected)


class WidthError(QgruError):
    """A stage could leave (or left) the width that the clauses give it.

    stage    name of the stage in the trace layout
    reached  the largest magnitude that the stage can reach
    bound    the first magnitude that is no longer allowed
    channel  index in [0, 3H) or None when every channel is alike
    """

    def __init__(self, stage: str, reached: int, bound: int, channel: int | None = None) -> None:
        where = stage if channel is None else f"{stage} (channel {channel})"
        super().__init__(f"stage {where} can reach {reached}, expected a magnitude below {bound}")
        self.stage = stage
        self.reached = reached
        self.bound = bound
        self.channel = channel

    def __reduce__(self):
        return type(self), (self.stage, self.reached, self.bound, self.channel)


class RangeError(QgruError):
    """A range or a scale that is not a finite (and, for a scale, positive) binary32 number.  [SPEC E-5, M-2]"""

    def __init__(self, tensor: str, found: object, step: int | None = None) -> None:
        at = "" if step is None else f" at step {step}"
        super().__init__(f"{tensor}{at} is {found}, expected a finite number in the range of binary32")
        self.tensor = tensor
        self.found = found
        self.step = step

    def __reduce__(self):
        return type(self), (self.tensor, self.found, self.step)
