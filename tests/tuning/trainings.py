"""Functions that tests tune."""

import contextlib
import json
import math
import os
import random
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tunesmith.core.space import Choice, Float


@dataclass
class Config:
    lr: Annotated[float, Float(1e-4, 1.0, log=True)] = 1e-4
    kind: Annotated[str, Choice("good", "bad")] = "good"


def _fall(config: Config, level: float, units: int) -> list[float]:
    """A curve that falls the faster, the nearer the learning rate is to 0.01."""
    speed = 0.2 * math.exp(-((math.log10(config.lr) + 2) ** 2))
    bottom = 0.0 if config.kind == "good" else 0.1
    return [bottom + (level - bottom) * (1 - speed) ** n for n in range(1, units + 1)]


def falls(config: Config, folder: Path, start: int, until: int) -> list[float]:
    state = folder / "state.json"
    level = json.loads(state.read_text()) if start else 1.0
    values = _fall(config, level, until - start)
    state.write_text(json.dumps(values[-1]))
    return values


def falls_slowly(config: Config, folder: Path, start: int, until: int) -> list[float]:
    time.sleep(0.01 * (until - start))
    number = folder.parents[2] / "worker"  # there whole or not at all, whoever reads meanwhile
    part = number.with_suffix(f".{os.getpid()}")
    part.write_text(str(os.getpid()))
    part.replace(number)
    return falls(config, folder, start, until)


def turns(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """Values get worse when half of the training is over."""
    values = falls(config, folder, start, until)
    return [value + (at > 12) for at, value in enumerate(values, start + 1)]


def rises(config: Config, folder: Path, start: int, until: int) -> list[float]:
    return [1 - value for value in falls(config, folder, start, until)]


def forgets(config: Config, folder: Path, start: int, until: int) -> list[float]:
    return _fall(config, 1.0, until - start)


def ignores(config: Config, folder: Path, start: int, until: int) -> list[float]:
    (folder / "state.json").write_text("1.0")
    return _fall(config, 1.0, until - start)


def ignores_once_a_slice(config: Config, folder: Path, start: int, until: int) -> float:
    return ignores(config, folder, start, until)[-1]


def is_chance(config: Config, folder: Path, start: int, until: int) -> float:
    return ignores_once_a_slice(config, folder, start, until) + 0.05 * random.random()


def only_looks(config: Config, folder: Path, start: int, until: int) -> list[float]:
    list(folder.iterdir())
    return ignores(config, folder, start, until)


def only_looks_once_a_slice(config: Config, folder: Path, start: int, until: int) -> float:
    return only_looks(config, folder, start, until)[-1]


def breaks(config: Config, folder: Path, start: int, until: int) -> float:
    raise RuntimeError(f"no device number {until}")


def breaks_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    if config.kind == "bad":
        raise RuntimeError("bad kind")
    return falls(config, folder, start, until)


def misses_a_file_where_bad(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """The name of the file is from an old file system, and no valid Unicode."""
    if config.kind == "bad":
        raise FileNotFoundError("caf\udce9.jpg")
    return falls(config, folder, start, until)


def is_no_folder_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    values = falls(config, folder, start, until)
    if config.kind == "bad":
        shutil.rmtree(folder)
        folder.write_text("no folder")
    return values


def lies_too_deep_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    """Leave what the path of a folder with a longer name is too long for."""
    values = falls(config, folder, start, until)
    if config.kind == "bad":
        with contextlib.chdir(folder):
            for _ in range(17):
                Path("d" * 240).mkdir()
                os.chdir("d" * 240)
    return values


def blocks_its_trial_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    values = falls(config, folder, start, until)
    if config.kind == "bad":
        shutil.rmtree(folder.parent)
        folder.parent.write_text("no folder")
    return values


def has_a_penalty_where_bad(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """The first values of some configs are the worst that there can be, those of others all."""
    values, worst = falls(config, folder, start, until), sys.float_info.max
    is_worst = config.kind == "bad" and (config.lr < 0.01 or start < 8)
    return [worst] * len(values) if is_worst else values


def is_no_number_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    values = falls(config, folder, start, until)
    return math.nan if config.kind == "bad" else values


def gives_none(config: Config, folder: Path, start: int, until: int) -> None:
    (folder / "state").touch()


def hangs_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    if config.kind == "bad":
        (folder.parents[2] / "hangs").touch()
        time.sleep(3600)
    return falls(config, folder, start, until)


def varies(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """Each training of a config has values of its own."""
    level = falls(config, folder, start, until)
    state = folder / "chance.json"
    chance = json.loads(state.read_text()) if start else int.from_bytes(os.urandom(4)) / 2**32
    state.write_text(json.dumps(chance))
    return [value + 0.01 * chance for value in level]


def breaks_until_mended(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """What is wrong lies outside of the function."""
    if not (folder.parents[2] / "mended").exists():
        raise RuntimeError("no such device")
    return falls(config, folder, start, until)


def breaks_once(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """One slice of a trial that had trained comes to nothing; that is not the trial's fault."""
    broken = folder.parents[2] / "broken"
    if start and not broken.exists():
        broken.touch()
        raise RuntimeError("lost the device")
    return falls(config, folder, start, until)


def breaks_later_where_bad(config: Config, folder: Path, start: int, until: int) -> list[float]:
    if start and config.kind == "bad":
        raise RuntimeError("bad kind")
    return falls(config, folder, start, until)


def breaks_after_four_units_where_bad(
    config: Config, folder: Path, start: int, until: int
) -> list[float]:
    if start == 4 and config.kind == "bad":
        raise RuntimeError("bad kind")
    return falls(config, folder, start, until)


def breaks_at_the_end(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """No trial gets through its last slice, until it is mended."""
    if until == 24 and not (folder.parents[2] / "mended").exists():
        raise RuntimeError("no such file")
    return falls(config, folder, start, until)


def is_no_number_later_where_bad(config: Config, folder: Path, start: int, until: int) -> Any:
    values = falls(config, folder, start, until)
    return math.nan if start and config.kind == "bad" else values


def breaks_while_out(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """Nothing works any more that worked before, until it is mended."""
    if (folder.parents[2] / "out").exists():
        raise OSError("no such device")
    return falls(config, folder, start, until)


def removes_its_folder(config: Config, folder: Path, start: int, until: int) -> float:
    shutil.rmtree(folder)
    return config.lr


def needs_memory(config: Config, folder: Path, start: int, until: int) -> list[float]:
    """It allocates one and a half gigabytes, and touches none of them."""
    room = bytes(1_500_000_000)  # which the system clears once they are touched
    values = falls(config, folder, start, until)
    del room
    return values
