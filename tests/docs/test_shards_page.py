"""The recipes of docs/shards.md do what they say: each is taken from the page, and run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import whyport
from support.bundles import linear_bundle

PAGE = (Path(__file__).parents[2] / "docs" / "shards.md").read_text(encoding="utf-8")
PARTS = 5
"""Of the 40 rows of the tests."""
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(having: str) -> str:
    """The one block of code that has a text."""
    (found,) = [each for each in BLOCKS if having in each]
    return str(found)


def bash(folder: Path, script: str, **variables: str) -> None:
    """Run a script where `whyport` is this environment's."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "CUDA_VISIBLE_DEVICES": ""} | variables
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle and inputs by the names that the recipes have."""
    linear_bundle(tmp_path / "bundle")
    (tmp_path / "data").mkdir()
    rows = np.random.default_rng(0).normal(size=(40, 3))
    pq.write_table(pa.table(dict(zip("abc", rows.T, strict=True))), tmp_path / "data" / "rows.parquet")
    return tmp_path


def small(recipe: str) -> str:
    """A recipe for two shards, by a method that any bundle serves."""
    return recipe.replace("--explain deepshap", "--explain gradient --batch-rows 8 --part-rows 8").replace("/8", "/2")


def finished(folder: Path) -> None:
    """Finish by the page's own command, and audit."""
    (last,) = re.findall(r"^whyport run .*--finish-only$", block("parallel whyport"), re.MULTILINE)
    assert len(list((folder / "scored").glob("part-*.parquet"))) == PARTS
    bash(folder, small(last))
    whyport.audit(folder / "scored")


def test_shards_by_xargs(folder: Path) -> None:
    (recipe,) = re.findall(r"`(seq 8 \| xargs [^`]*)`", PAGE)
    bash(folder, small(recipe).replace("seq 8", "seq 2"))
    finished(folder)


def test_shards_by_an_array_of_slurm(folder: Path) -> None:
    script = block("#SBATCH")
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.MULTILINE))
    assert options == {"array": "1-8", "cpus-per-task": "4"}
    for task in ("1", "2"):
        bash(folder, small(script), SLURM_ARRAY_TASK_ID=task, SLURM_ARRAY_TASK_COUNT="2")
    finished(folder)
    bash(folder, f"bash -n <<'END'\n{block('--dependency=afterok')}END")


def test_shards_by_an_indexed_job_of_kubernetes(folder: Path) -> None:
    job = yaml.safe_load(block("kind: Job"))
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    template = job["spec"]["template"]["spec"]
    (container,) = template["containers"]
    assert template["restartPolicy"] == "OnFailure"
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in template["volumes"]]
    assert container["command"] == ["sh", "-c"]
    (script,) = container["args"]
    script = (
        small(script).replace("/data/bundle", "bundle").replace("/data/in", "data").replace("/data/scored", "scored")
    )
    for index in ("0", "1"):
        bash(folder, script, JOB_COMPLETION_INDEX=index)
    finished(folder)
