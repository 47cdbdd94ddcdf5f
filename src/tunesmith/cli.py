"""The command line: a command is one call; nothing is computed here."""

import contextlib
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.core.clock import process_age
from tunesmith.core.errors import TunesmithError, UserError
from tunesmith.core.optional import require
from tunesmith.data.folders import shown
from tunesmith.report.streams import escape_unencodable

app = typer.Typer(
    name="tunesmith",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SourceArgument = Annotated[
    str, typer.Argument(help="Folder, .zip, .tar, .csv, .parquet, .npz, or a name such as mnist.")
]
TestOption = Annotated[str | None, typer.Option(help="Separate test set.")]
ColumnsOption = Annotated[
    str | None, typer.Option(help="Table columns, such as path=file,group=- (no group).")
]
# The jobs say what cannot be read, and go on with the rest; typer would refuse all of it.
path_argument = partial(typer.Argument, readable=False)
path_option = partial(typer.Option, readable=False)
RunArgument = Annotated[Path, path_argument(help="Folder of a run.")]
METRICS = "accuracy, balanced_accuracy, log_loss, macro_f1 or roc_auc"
Format = Enum("Format", {"optuna": "optuna"})
INTERRUPTED = 130  # what shells expect after Ctrl-C
RESUMES = "What was done so far is kept: the same command goes on from there."
BEFORE = (
    "This run was finished before: nothing was trained. A larger --budget extends it, another "
    "--out begins anew."
)


@app.callback(invoke_without_command=True)
def without_command(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Train, tune, test and export a PyTorch image classifier within a time budget."""
    if version:
        from tunesmith import __version__

        typer.echo(f"tunesmith {__version__}")
        raise typer.Exit


@app.command()
def fit(
    source: SourceArgument,
    test: TestOption = None,
    budget: Annotated[str | None, typer.Option(help="Time budget, such as 1h30m. [10m]")] = None,
    out: Annotated[Path | None, path_option(help="Output folder. \\[runs/NAME]")] = None,
    model: Annotated[str | None, typer.Option(help="auto, family, net.py:build. \\[auto]")] = None,
    metric: Annotated[str | None, typer.Option(help=f"Score: {METRICS}. \\[accuracy]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps. \\[auto]")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed. [0]")] = None,
    columns: ColumnsOption = None,
    on_suspects: Annotated[
        str | None, typer.Option(help="Suspect images: keep or quarantine. \\[keep]")
    ] = None,
    quarantine: Annotated[Path | None, path_option(help="CSV list of images to exclude.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="auto, gp, tpe, random, optuna, hyperopt. \\[auto]")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="auto, freeze-thaw, asha or none. \\[auto]")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Trials of the search; 0 for none.")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes of the search. \\[auto]")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="Limit: latency_ms=5, size_mb=4.")] = None,
    config: Annotated[Path | None, path_option(help="Job file in TOML with options.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train, test and export the best model that the budget can buy."""
    from tunesmith.core.settings import Settings, pairs, read_job_file, take_test

    require("torch", extra="train")
    given = {k: v for k, v in locals().items() if k in Settings.model_fields and v is not None}
    given |= {k: pairs(f"--{k}", given[k]) for k in ("columns", "limit") if k in given}
    values = read_job_file(config) if config else {}
    tested = take_test(values)
    settings = Settings.make(values | given)
    work = _plan if dry_run else _train
    work(settings, source, tested if test is None else test, as_json=as_json)


def _plan(settings: Any, source: str, test: str | None, *, as_json: bool) -> None:
    """Say what would be trained."""
    from tunesmith.jobs import fit as job

    with _pure(as_json), _interruptible():
        foreseen = job.dry_run(settings, source, test, started_s=process_age())
    _tell(foreseen, as_json=as_json)


def _train(settings: Any, source: str, test: str | None, *, as_json: bool) -> None:
    """Run the job, and tell what came of it."""
    from tunesmith.jobs import fit as job

    command = shlex.join(["tunesmith", *sys.argv[1:]])
    with _pure(as_json), _interruptible():
        result = job.run(
            settings, source, test, command=command, to_stderr=as_json, started_s=process_age()
        )
    if not result.is_new:
        _say(BEFORE, err=True)
    _tell(result, as_json=as_json)
    if result.summary.status == "interrupted":
        raise typer.Exit(INTERRUPTED)


@app.command()
def tune(
    function: Annotated[str, typer.Argument(help="Training function, as file.py:function.")],
    budget: Annotated[
        str | None, typer.Option(help="Time budget, such as 1h30m. \\[10m; with --trials, none]")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(help="Most trials; without --budget, all are trained to the end.")
    ] = None,
    horizon: Annotated[int, typer.Option(help="Units of a full training.")] = 100,
    out: Annotated[Path | None, path_option(help="Output folder. \\[runs/FUNCTION]")] = None,
    sampler: Annotated[str, typer.Option(help="auto, gp, tpe, random, optuna, hyperopt.")] = "auto",
    scheduler: Annotated[str, typer.Option(help="auto, freeze-thaw, asha or none.")] = "auto",
    workers: Annotated[str, typer.Option(help="Worker processes, or auto.")] = "1",
    maximize: Annotated[bool, typer.Option("--maximize", help="Higher values are better.")] = False,
    trust_defaults: Annotated[
        bool, typer.Option("--trust-defaults", help="Begin near the defaults.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find the config with which a training function of your own does best."""
    from tunesmith.core.settings import TuneSettings, checked
    from tunesmith.jobs import tune as job

    given = {k: v for k, v in locals().items() if k in TuneSettings.model_fields and v is not None}
    settings = checked(TuneSettings, given)
    with _pure(as_json), _interruptible():
        found = job.run(settings, function, to_stderr=as_json, started_s=process_age())
    _tell(found, as_json=as_json)
    if found.status == "interrupted":
        raise typer.Exit(INTERRUPTED)


def _pure(as_json: bool) -> AbstractContextManager[object]:
    """Keep what the user's own code prints out of the output, where that is for programs."""
    return contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()


@contextlib.contextmanager
def _interruptible(kept: str = "") -> Iterator[None]:
    """Say what an interruption leaves, itself or by default; typer alone would not say a word."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        _fail(f"Interrupted. {str(interrupt) or kept}".strip(), INTERRUPTED)


def _tell(result: Any, *, as_json: bool) -> None:
    """Print what a job gave back: for programs, or for people."""
    if as_json:
        typer.echo(result.as_json())
    else:
        _say(result.words())


def _say(text: str, *, err: bool = False) -> None:
    """Print for people. Names in a text may be any bytes; none of them steers the terminal."""
    typer.echo("\n".join(map(shown, text.split("\n"))), err=err)


@app.command()
def check(
    source: SourceArgument,
    test: TestOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Look for backdoors too (minutes).")] = False,
    model: Annotated[
        list[Path] | None,
        path_option(help="A run or bundle trained on this data; implies --deep; repeatable."),
    ] = None,
    out: Annotated[Path | None, path_option(help="Output folder. \\[checks/NAME]")] = None,
    columns: ColumnsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at the data and say what is wrong with them; nothing is changed."""
    require("scipy", extra="train")
    from tunesmith.core.settings import pairs
    from tunesmith.jobs import check as job

    named, models = pairs("--columns", columns), model or ()
    with _pure(as_json), _interruptible(RESUMES):
        result = job.check(
            source, test=test, deep=deep, model=models, out=out, columns=named, to_stderr=as_json
        )
    _tell(result, as_json=as_json)


@app.command()
def cleanse(
    source: SourceArgument,
    test: TestOption = None,
    model: Annotated[
        Path | None, path_option(help="A run or bundle trained on this data. \\[one is trained]")
    ] = None,
    budget: Annotated[str, typer.Option(help="Time budget of each training.")] = "10m",
    out: Annotated[Path | None, path_option(help="Output folder. \\[cleansed/NAME]")] = None,
    columns: ColumnsOption = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
) -> None:
    """Look for backdoors, train without them, and show whether they are gone."""
    require("torch", extra="train")
    from tunesmith.core.settings import pairs
    from tunesmith.jobs import cleanse as job

    named = pairs("--columns", columns)
    with _interruptible(RESUMES):
        result = job.cleanse(
            source, test=test, model=model, budget=budget, out=out, columns=named, seed=seed
        )
    _say(f"{result.words()}\nreport  {result.found.report}")


@app.command()
def predict(
    bundle: Annotated[Path, path_argument(help="Bundle, such as runs/photos/bundle.")],
    files: Annotated[list[Path], path_argument(help="Image files or folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the predictions as JSON.")] = False,
) -> None:
    """Name the class of images. Needs no torch."""
    from tunesmith.jobs import predict as job

    answers = job.predict(bundle, files)
    typer.echo(job.as_json(answers) if as_json else job.words(answers))
    if all(a.label is None for a in answers):
        raise UserError("None of these files could be read as an image; the reasons are above.")


@app.command()
def report(run: RunArgument) -> None:
    """Name a finished run's report and its score, or tell how far an unfinished one is."""
    from tunesmith.jobs.report import look

    _say(look(run))


@app.command()
def export(
    run: RunArgument,
    format_: Annotated[Format, typer.Option("--format", help="optuna: the search as a study.")],
) -> None:
    """Hand over what a run holds in the form of another tool."""
    from tunesmith.jobs.study import command_to_look, export_study

    path = export_study(run)
    _say(f"{format_.value}  {path}\nlook at it with: {command_to_look(path)}")


@app.command()
def doctor() -> None:
    """Tell what this machine offers, what is missing, and the line that installs it."""
    from tunesmith.execution.machine import doctor as examine

    for check in examine():
        mark = "ok" if check.ok else "--"
        _say(f"{mark}  {check.name}: {check.detail}")
        if not check.ok and check.fix:
            _say(f"      {check.fix}")


def main() -> None:
    """Run the command line; end with 0, 1, 2 or 130 as the README says."""
    escape_unencodable(sys.stdout)
    try:
        app()
    except UserError as error:
        _fail(str(error), 2)
    except TunesmithError as error:
        _fail(f"This is a fault of Tunesmith, not yours: {error}", 1)
    except KeyboardInterrupt:
        _fail("Interrupted.", INTERRUPTED)


def _fail(message: str, status: int) -> None:
    _say(f"tunesmith: {message}", err=True)
    sys.exit(status)
