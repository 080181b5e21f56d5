"""What is raised when an optional package is needed and not installed."""

from __future__ import annotations

from golden.spec.errors import QgruError


class MissingPart(QgruError):
    """An optional package is not installed.  The sentence names it and the command that installs it.

    package  import name of the package
    extra    extra of qgru that brings it
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f'{package} is not installed, expected it here: pip install "qgru[{extra}]"')
        self.package = package
        self.extra = extra

    def __reduce__(self):
        return type(self), (self.package, self.extra)
