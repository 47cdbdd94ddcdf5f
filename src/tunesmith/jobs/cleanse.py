"""Train, leave out suspected backdoor images, train again, and compare what the triggers do."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from tunesmith.bundle.manifest import read_manifest
from tunesmith.core.clock import Clock
from tunesmith.core.errors import SettingsError
from tunesmith.core.settings import Settings
from tunesmith.jobs.check import CheckResult, check, refuse_others, write
from tunesmith.jobs.deep.trained import bundle_of, open_trained
from tunesmith.jobs.deep.trying import try_backdoors
from tunesmith.jobs.fetch import open_data
from tunesmith.jobs.fit import fit
from tunesmith.report.findings import quarantine_rows

BEFORE, AFTER = "before", "after"  # folders of the two runs


@final
@dataclass(frozen=True, kw_only=True)
class Cleansed:
    """Findings, and the models before and after.

    Attributes:
        found: Result of the check, with the success rate of each pattern on both models.
        before: Run or bundle that was trained on all images.
        after: Run that was trained without the listed images; None if none are listed.
    """

    found: CheckResult
    before: Path
    after: Path | None

    def words(self) -> str:
        """Summarize what has changed, one line per pattern."""
        lines = [f"before  {_score(self.before)}  {self.before}"]
        if self.after is None:
            return "\n".join([*lines, "after   nothing to leave out was found"])
        lines.append(f"after   {_score(self.after)}  {self.after}")
        for each in self.found.checked.tried:
            before, after = each.success.values()
            lines.append(
                f"{each.title}: on other images the pattern works in {100 * before:.1f} % of cases "
                f"before, in {100 * after:.1f} % after"
            )
        return "\n".join(lines)


def cleanse(
    source: Any,
    *,
    test: Any = None,
    model: str | Path | None = None,
    budget: str | float = "10m",
    out: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Cleansed:
    """Find backdoors in labeled images, train without them, and show whether they are gone.

    The same call resumes what was interrupted.

    Args:
        source: The data; see `tunesmith.fit`.
        test: Test set in the same format, if ``source`` has none of its own.
        model: Run or bundle that was trained on these data; by default, one is trained first.
        budget: Time budget of each training; see `tunesmith.fit`.
        out: Output folder of runs and check; by default ``cleansed/NAME``.
        columns: Names of a table's columns, by use.
        seed: Random seed of the trainings.
        progress: Show progress on the terminal.

    Raises:
        UserError: The data cannot be used, the model does not fit them or lies where this call
            writes, or the folder of the check cannot be used; see `check`.
    """
    clock = Clock(budget=Settings.make({"budget": budget, "seed": seed}).budget)
    data = open_data(source, test, columns or {}, clock=clock, quiet=not progress)
    folder = Path(out) if out is not None else Path("cleansed") / data.name

    def trained(name: str, quarantine: Path | None) -> Path:
        result = fit(
            data,
            budget=budget,
            out=folder / name,
            seed=seed,
            quarantine=quarantine,
            progress=progress,
        )
        if result.summary.status == "interrupted":
            raise KeyboardInterrupt
        return result.folder

    refuse_others(folder / "check", (source, test))  # before time is spent on training
    _refuse_own(model, folder)
    before = Path(model) if model is not None else trained(BEFORE, None)
    found = check(data, deep=True, model=before, out=folder / "check", progress=progress)
    if not any(quarantine_rows(found.checked.findings, suspects=True)):
        return Cleansed(found=found, before=before, after=None)
    after = trained(AFTER, found.quarantine)
    compared = _tried_on_both(found, before, after)
    write(compared)
    return Cleansed(found=compared, before=before, after=after)


def _refuse_own(model: str | Path | None, folder: Path) -> None:
    """Refuse to start from the model that this call writes, trained without the listed images.

    Raises:
        SettingsError: The model lies in the output folder of the second training.
    """
    after = (folder / AFTER).resolve()
    if model is not None and Path(model).resolve().is_relative_to(after):
        raise SettingsError(
            "The model to begin with has learned from all images, but `cleanse` writes the one "
            f"without those that are listed to {model}. Pass another model, or none, or another "
            "--out."
        )


def _tried_on_both(found: CheckResult, before: Path, after: Path) -> CheckResult:
    """Return the check, with its patterns tried on both models."""
    classes = tuple(look.name for look in found.checked.classes)
    channels = read_manifest(bundle_of(before)).input.channels
    both = [open_trained(each, classes, channels) for each in (before, after)]
    tried = try_backdoors(found.backdoors, both, classes)
    return replace(found, checked=replace(found.checked, tried=tried))


def _score(model: Path) -> str:
    score = read_manifest(bundle_of(model)).score
    return f"{score.metric} {score.value:.4f} on {score.n:,} test images"
