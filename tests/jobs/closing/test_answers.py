"""Tests of `tunesmith.jobs.closing.answers`."""

from pathlib import Path

import numpy as np

from tunesmith.jobs.closing.answers import FILE, keep, kept


def test_answers_are_those_of_one_graph(tmp_path: Path) -> None:
    graph = tmp_path / "model.onnx"
    graph.write_bytes(b"a graph")
    assert kept(tmp_path, graph) is None
    places, p_NK = np.array([7, 3, 5]), np.full((3, 2), 0.5, np.float32)
    keep(tmp_path, graph, (places, p_NK))
    found = kept(tmp_path, graph)
    assert found is not None
    np.testing.assert_array_equal(found[0], places)
    np.testing.assert_array_equal(found[1], p_NK)
    assert found[1].dtype == np.float32
    assert (tmp_path / FILE).stat().st_size < 2000
    graph.write_bytes(b"another")
    assert kept(tmp_path, graph) is None
