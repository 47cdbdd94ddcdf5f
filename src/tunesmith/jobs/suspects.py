"""Labels of test images that look wrong: counted for the report, listed for people."""

import csv
from pathlib import Path

from tunesmith.jobs.finish import Tested
from tunesmith.jobs.prepare import Prepared
from tunesmith.screening.labels import rank_labels

FILE = "suspects.csv"


def write_suspects(folder: Path, prepared: Prepared, tested: Tested) -> int:
    """Write ``suspects.csv``: the labels that look wrong, the most doubtful first.

    Returns:
        How many there are; none, no file.
    """
    ranking = rank_labels(tested.p_NK, prepared.labels[tested.places])
    ranks = ranking.sure()
    if not len(ranks):
        (folder / FILE).unlink(missing_ok=True)
        return 0
    classes, names = prepared.source.classes, prepared.source.names
    with (folder / FILE).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "label", "probably", "margin"])
        for rank in ranks:
            place = tested.places[ranking.places[rank]]
            rows.writerow(
                [
                    names[prepared.loaded.kept[place]],
                    classes[prepared.labels[place]],
                    classes[ranking.others[rank]],
                    f"{ranking.margins[rank]:.3f}",
                ]
            )
    return len(ranks)
