"""Events of a run: the rows of its journal."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, final

from tunesmith.core.errors import RunFolderError
from tunesmith.core.words import writable


@final
@dataclass(frozen=True, kw_only=True)
class SessionStarted:
    """A process began to work on the run.

    Attributes:
        budget: Time budget in seconds, all sessions together.
        trials: Number of trials of the search, all sessions together; None if not given.
    """

    budget: float
    trials: int | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Planned:
    """The plan was made, from measurements."""

    plan: Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class TrialStarted:
    """A trial of a search began, with a configuration that the search proposed."""

    trial: str
    config: Mapping[str, Any]


@final
@dataclass(frozen=True, kw_only=True)
class WorkersChosen:
    """The number of parallel search processes was chosen; the reason is told as it stands."""

    workers: int
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class SliceDone:
    """A trial was trained from ``begin`` to ``end`` examples, and its checkpoint is on disk.

    Attributes:
        trial: The trial.
        begin: Number of examples seen before.
        end: Number of examples seen after.
        seconds: Duration.
        checkpoint: Name of the checkpoint.
        rows: Metrics.
        robust: Whether the loss was robust to wrong labels; see `training.noise`.
        batch: Number of images in a step; 0 if an earlier version recorded it.
    """

    trial: str
    begin: int
    end: int
    seconds: float
    checkpoint: str
    rows: tuple[Mapping[str, float], ...]
    robust: bool = False
    batch: int = 0


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
    """A trial ended, for this reason; after an interruption, not for good.

    Attributes:
        trial: The trial.
        reason: Why it ended, in words.
        for_good: Whether it cannot go on.
        failure: Kind of its failure in a search; empty if it did not fail.
    """

    trial: str
    reason: str
    for_good: bool = True
    failure: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class CompilingChanged:
    """Compiling a trial's network began, was over, or was given up for the rest of its training."""

    trial: str
    state: Literal["begun", "over", "given up"]


@final
@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A network was chosen for full training.

    Attributes:
        trial: Trial of the network.
        reason: Why it was chosen, in words.
        also: Trial of a second network that is trained too, for an ensemble of both.
        raced: Whether another network had a chance; if not, this one had all the time.
    """

    trial: str
    reason: str
    also: str | None = None
    raced: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something the user should know.

    Attributes:
        text: What, in words.
        lasting: Whether it holds in later sessions too: what comes out of one may not.
    """

    text: str
    lasting: bool = True


@final
@dataclass(frozen=True, kw_only=True)
class TestOpened:
    """A model was evaluated on the test set."""


@final
@dataclass(frozen=True, kw_only=True)
class Ended:
    """A session delivered a model; its status is ``"finished"`` or ``"interrupted"``."""

    status: str
    reason: str


@final
@dataclass(frozen=True, kw_only=True)
class Stopped:
    """An error that the user has to mend ended a session."""

    reason: str


Event = (
    SessionStarted
    | Planned
    | TrialStarted
    | WorkersChosen
    | SliceDone
    | BlockDone
    | TrialEnded
    | CompilingChanged
    | Chosen
    | Noted
    | TestOpened
    | Ended
    | Stopped
)
KINDS: dict[str, type[Event]] = {
    "session started": SessionStarted,
    "planned": Planned,
    "trial started": TrialStarted,
    "workers chosen": WorkersChosen,
    "slice done": SliceDone,
    "block done": BlockDone,
    "trial ended": TrialEnded,
    "compiling changed": CompilingChanged,
    "chosen": Chosen,
    "noted": Noted,
    "test opened": TestOpened,
    "ended": Ended,
    "stopped": Stopped,
}
NAMES = {kind: name for name, kind in KINDS.items()}


@final
@dataclass(frozen=True, kw_only=True)
class Stored:
    """An event as stored in the journal.

    Attributes:
        event: The event.
        elapsed: Active seconds of the run at the time of the event.
        phases: Seconds of this session so far, by phase.
    """

    event: Event
    elapsed: float
    phases: Mapping[str, float]


def encode(event: Event) -> tuple[str, str]:
    """Encode an event as its kind and JSON content.

    Example:
        >>> encode(Noted(text="hello"))
        ('noted', '{"text": "hello", "lasting": true}')

    """
    # Invalid Unicode cannot be stored; escaped, it is decoded to what it was.
    return NAMES[type(event)], writable(json.dumps(asdict(event), ensure_ascii=False))


def decode(kind: str, content: str) -> Event:
    """Decode an event that `encode` encoded.

    Raises:
        RunFolderError: The kind, or a field of it, is unknown, so a newer Tunesmith wrote it; or it
            is damaged.
    """
    if kind not in KINDS:
        raise RunFolderError(
            f"The journal holds an event {kind!r} that this version does not know: a newer "
            "Tunesmith wrote it. Update, or pass another --out."
        )
    try:
        fields = {**json.loads(content)}
        if "rows" in fields:
            fields["rows"] = tuple(fields["rows"])
    except (TypeError, ValueError) as error:  # no JSON, or no object
        raise RunFolderError(
            f"The journal is damaged: its event {kind!r} cannot be read ({error}). Put back a copy "
            "of the folder, or pass another --out."
        ) from None
    try:
        return KINDS[kind](**fields)
    except TypeError as error:
        raise RunFolderError(
            f"The journal holds an event {kind!r} that this version cannot read ({error}): a newer "
            "Tunesmith wrote it. Update, or pass another --out."
        ) from None
