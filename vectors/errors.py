"""What is raised when a vector set is refused: one sentence, with the file, the field and the value."""

from __future__ import annotations

from golden.spec.errors import ParameterError, QgruError

LONGEST = 120


def shown(value: object) -> str:
    """value as short printable ASCII for a message."""
    text = ascii(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


class VectorError(QgruError):
    """A vector set, or a file of one, that is damaged, of another version or not what it says it is.

    file      name of the file inside the set, or the path of the set
    field     what is wrong in it
    found     what was found
    expected  what should have been found
    """

    def __init__(self, file: str, field: str, found: object, expected: str) -> None:
        text = str(found)
        found = text if len(text) <= 2 * LONGEST else f"{text[: 2 * LONGEST]}..."
        super().__init__(f"{file}: {field} is {found}, expected {expected}")
        self.file = file
        self.field = field
        self.found = found
        self.expected = expected

    def __reduce__(self):
        return type(self), (self.file, self.field, self.found, self.expected)


def located(file: str, error: QgruError) -> VectorError:
    """A refusal of the contents, with the file that it was found in."""
    if isinstance(error, VectorError):
        return error
    if isinstance(error, ParameterError):
        return VectorError(file, error.field, error.found, error.expected)
    return VectorError(file, "the content", f"refused ({error})", "values that the clauses allow")
