"""What a check is made of: a rule, where that is written, and whoever breaks it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, NoReturn, TypeVar

T = TypeVar("T")


class Rule(NamedTuple, Generic[T]):
    """says: what must hold. source: where that is written. holds: tries it; AssertionError says what was seen."""

    says: str
    source: str
    holds: Callable[..., T]


class Trial:
    """The rules that were tried on a subject, and those that did not hold."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._broken: list[str] = []
        self._first: Exception | None = None

    @contextmanager
    def of(self, rule: Rule[T]) -> Iterator[None]:
        """Whatever goes wrong inside breaks the rule."""
        try:
            yield
        except Exception as error:
            seen = str(error) if isinstance(error, AssertionError) else f"it raised {error!r}"
            self._broken.append(f"{self._subject}: {rule.says} [{rule.source}]: {seen}")
            self._first = self._first or error

    def end(self) -> None:
        """Raises AssertionError with a line for each rule that does not hold.

        ``renderer: a context id is used once [virgl_renderer_context_create_with_flags]: context 1 was made twice``
        """
        if self._broken:
            raise AssertionError("\n".join(dict.fromkeys(self._broken))) from self._first


def unless(holds: object, seen: str) -> None:
    """Raises AssertionError with what was seen; under ``python -O``, too."""
    if not holds:
        fail(seen)


def fail(seen: str) -> NoReturn:
    raise AssertionError(seen)
