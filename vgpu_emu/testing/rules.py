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


@contextmanager
def judged(subject: str, rule: Rule[T]) -> Iterator[None]:
    """Whatever goes wrong inside breaks the rule: an AssertionError that names it.

    ``renderer: a context id is used once [virgl_renderer_context_create_with_flags]: context 1 was made twice``
    """
    try:
        yield
    except AssertionError as seen:
        raise AssertionError(f"{subject}: {rule.says} [{rule.source}]: {seen}") from seen
    except Exception as error:
        raise AssertionError(f"{subject}: {rule.says} [{rule.source}]: it raised {error!r}") from error


def unless(holds: object, seen: str) -> None:
    """Raises AssertionError with what was seen; under ``python -O``, too."""
    if not holds:
        fail(seen)


def fail(seen: str) -> NoReturn:
    raise AssertionError(seen)
