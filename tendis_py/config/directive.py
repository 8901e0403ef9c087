"""What is known about one setting besides its value.

May import: the kinds of value.
Does not know: which directives there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tendis_py.config.kinds import EngineOptions, Kind


@dataclass(frozen=True, slots=True)
class Directive:
    """A setting's name, kind and meaning; its value is the attribute ``attribute`` of `Settings`.

    ``help`` is what it does, or, of one that is accepted without ``effect``, why it does nothing.
    """

    name: str
    attribute: str
    kind: Kind[Any]
    help: str
    runtime: bool
    """Whether CONFIG SET may change it."""
    aliases: tuple[str, ...]
    shown_default: str | None
    """What the reference says where the default depends on the machine."""
    protected: bool = False
    """Whether CONFIG SET needs the leave of ``enable-protected-configs``."""
    effect: bool = True

    @property
    def is_family(self) -> bool:
        return isinstance(self.kind, EngineOptions)

    def values(self, value: Any) -> Iterator[tuple[str, str]]:
        """Yield what CONFIG GET can show: (name, value) for each name of this directive."""
        if self.is_family:
            for option, setting in value.items():
                yield f"{self.name}.{option}", setting
        else:
            for name in (self.name, *self.aliases):
                yield name, self.kind.format(value)
