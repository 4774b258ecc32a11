"""The line of trees in the benchmark of a GPU, which needs none."""

from pathlib import Path

from gpu import trees_on_a_card


def test_trees_are_refused_on_a_card(tmp_path: Path) -> None:
    said = trees_on_a_card(tmp_path)
    assert said["cuda"].startswith("refused: device 'cuda': bundle 'bundle' is a model of TreeEnsemble")
    assert said["auto"] == "CPUExecutionProvider"
