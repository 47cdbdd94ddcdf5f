"""What can happen in a run: the lines of its journal."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

from tunesmith.core.errors import RunFolderError


@final
@dataclass(frozen=True, kw_only=True)
class SessionStarted:
    """A process began to work on the run.

    Attributes:
        budget: Seconds granted in all.
        trials: Settings that a search may try in all; None if their number is not given.
    """

    budget: float
    trials: int | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Planned:
    """What was measured and decided."""

    plan: Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """A trial of a search began, with a config that the search proposed."""

    trial: str
    config: Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class WorkersChosen:
    """How many processes search at the same time, and why."""

    workers: int
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class SliceDone:
    """A trial was trained from ``begin`` to ``end`` examples, and its checkpoint is on disk."""

    trial: str
    begin: int
    end: int
    seconds: float
    checkpoint: str
    rows: tuple[Mapping[str, float], ...]


@final
@dataclass(frozen=True, kw_only=True)
class BlockDone:
    """A trial was validated after ``at`` examples."""

    trial: str
    at: int
    metrics: Mapping[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class TrialEnded:
    """A trial is over, and why; or not for good, after an interruption."""

    trial: str
    reason: str
    for_good: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A network was chosen to be trained to the end.

    Attributes:
        trial: Its trial.
        reason: Why, in words.
        also: The trial of another that is trained too, so that both may answer together.
        raced: Another had a chance; else all the time was this one's from the start.
    """

    trial: str
    reason: str
    also: str | None = None
    raced: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something the user should know."""

    text: str


@final
@dataclass(frozen=True, kw_only=True)
class TestOpened:
    """The test part was looked at."""


@final
@dataclass(frozen=True, kw_only=True)
class Ended:
    """A session handed a model over: ``"finished"`` or ``"interrupted"``."""

    status: str
    reason: str


Event = (
    SessionStarted
    | Planned
    | TrialStarted
    | WorkersChosen
    | SliceDone
    | BlockDone
    | TrialEnded
    | Chosen
    | Noted
    | TestOpened
    | Ended
)
KINDS: dict[str, type[Event]] = {
    "session started": SessionStarted,
    "planned": Planned,
    "trial started": TrialStarted,
    "workers chosen": WorkersChosen,
    "slice done": SliceDone,
    "block done": BlockDone,
    "trial ended": TrialEnded,
    "chosen": Chosen,
    "noted": Noted,
    "test opened": TestOpened,
    "ended": Ended,
}
NAMES = {kind: name for name, kind in KINDS.items()}


@final
@dataclass(frozen=True, kw_only=True)
class Stored:
    """An event as the journal keeps it.

    Attributes:
        event: What happened.
        elapsed: Live seconds of the run at that moment.
        phases: Seconds of this session so far, by phase.
    """

    event: Event
    elapsed: float
    phases: Mapping[str, float]


def encode(event: Event) -> tuple[str, str]:
    """Write an event as its kind and JSON.

    Example:
        >>> encode(Noted(text="hello"))
        ('noted', '{"text": "hello"}')

    """
    return NAMES[type(event)], json.dumps(asdict(event), ensure_ascii=False)


def decode(kind: str, content: str) -> Event:
    """Undo `encode`.

    Raises:
        RunFolderError: The kind, or a field of it, is unknown, so a newer Tunesmith wrote it.
    """
    if kind not in KINDS:
        raise RunFolderError(
            f"The journal holds an event {kind!r} that this version does not know: a newer "
            "Tunesmith wrote it. Update, or pass another --out."
        )
    fields = json.loads(content)
    if kind == "slice done":
        fields["rows"] = tuple(fields["rows"])
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise RunFolderError(
            f"The journal holds an event {kind!r} that this version cannot read ({error}): a newer "
            "Tunesmith wrote it. Update, or pass another --out."
        ) from None
