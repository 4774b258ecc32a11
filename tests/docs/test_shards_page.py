"""The recipes of docs/shards.md do what they say: each is taken from the page, and run."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import kubernetes_validate
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import whyport
from support.bundles import linear_bundle
from support.schedulers import airflow, parallel, slurm

PAGE = (Path(__file__).parents[2] / "docs" / "shards.md").read_text(encoding="utf-8")
PARTS = 5
"""Of the 40 rows of the tests."""
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def block(having: str) -> str:
    """The one block of code that has a text."""
    (found,) = [each for each in BLOCKS if having in each]
    return str(found)


def bash(folder: Path, script: str, variables: Mapping[str, str] | None = None) -> str:
    """What a script prints where `whyport` is this environment's."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""} | (variables or {})
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle and inputs by the names that the recipes have."""
    linear_bundle(tmp_path / "bundle")
    (tmp_path / "data").mkdir()
    rows = np.random.default_rng(0).normal(size=(40, 3))
    pq.write_table(pa.table(dict(zip("abc", rows.T, strict=True))), tmp_path / "data" / "rows.parquet")
    return tmp_path


def small(recipe: str, folder: Path) -> str:
    """A recipe for two shards, by a method that any bundle serves, in the folder."""
    fewer = {
        "/8": "/2",
        " 1 2 3 4 5 6 7 8": " 1 2",
        "seq 8": "seq 2",
        "array=1-8": "array=1-2",
        "range(1, 9)": "range(1, 3)",
    }
    places = {"/data/bundle": "bundle", "/data/in": "data", "/data/scored": "scored"}
    smaller = recipe.replace("--explain deepshap", "--explain gradient --batch-rows 8 --part-rows 8")
    for old, new in (fewer | {old: str(folder / new) for old, new in places.items()}).items():
        smaller = smaller.replace(old, new)
    return smaller


def finished(folder: Path) -> None:
    """Finish by the page's own command, and audit."""
    (last,) = re.findall(r"^whyport run .*--finish-only$", block("parallel whyport"), re.MULTILINE)
    assert len(list((folder / "scored").glob("part-*.parquet"))) == PARTS
    bash(folder, small(last, folder))
    whyport.audit(folder / "scored")


def test_shards_by_gnu_parallel(folder: Path, tmp_path: Path) -> None:
    bash(folder, small(block("parallel whyport"), folder), parallel(tmp_path))
    whyport.audit(folder / "scored")


def test_shards_by_xargs(folder: Path) -> None:
    (recipe,) = re.findall(r"`(seq 8 \| xargs [^`]*)`", PAGE)
    bash(folder, small(recipe, folder))
    finished(folder)


def test_tasks_of_an_array_of_slurm(folder: Path) -> None:
    script = block("#SBATCH")
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.MULTILINE))
    assert options == {"array": "1-8", "cpus-per-task": "4"}
    for task in ("1", "2"):
        bash(folder, small(script, folder), {"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "2"})
    finished(folder)


@pytest.mark.slow
def test_shards_by_slurm(folder: Path, tmp_path: Path) -> None:
    """A controller and a node of its own carry out the array, and then the job that depends on it."""
    (folder / "shard.sh").write_text(small(block("#SBATCH"), folder))
    with slurm(tmp_path / "slurm") as variables:
        submitted = bash(folder, small(block("--dependency=afterok"), folder), variables)
        assert re.fullmatch(r"Submitted batch job \d+\n", submitted)
    assert len(list(folder.glob("slurm-*_*.out"))) == 2
    assert (folder / "scored" / "_SUCCESS").exists(), [path.read_text() for path in folder.glob("slurm-*.out")]
    whyport.audit(folder / "scored")


def test_shards_by_an_indexed_job_of_kubernetes(folder: Path) -> None:
    job = yaml.safe_load(block("kind: Job"))
    assert (job["apiVersion"], job["kind"], job["spec"]["completionMode"]) == ("batch/v1", "Job", "Indexed")
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    template = job["spec"]["template"]["spec"]
    (container,) = template["containers"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in template["volumes"]]
    assert container["command"] == ["sh", "-c"]
    (script,) = container["args"]
    for index in ("0", "1"):
        bash(folder, small(script, folder), {"JOB_COMPLETION_INDEX": index})
    assert len(list((folder / "scored").glob("part-*.parquet"))) == PARTS
    bash(folder, small(re.sub(r'--shard ".*"', "--finish-only", script), folder))
    whyport.audit(folder / "scored")


def test_a_job_with_an_unknown_field_is_no_job_of_kubernetes() -> None:
    job = yaml.safe_load(block("kind: Job"))
    job["spec"]["completion"] = 8
    with pytest.raises(kubernetes_validate.ValidationError, match="'completion' was unexpected"):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_commands_of_a_dag_of_airflow(folder: Path) -> None:
    dag = small(block("BashOperator"), folder)
    compile(dag, "score.py", "exec")
    (run,) = re.findall(r'^RUN = "(.*)"$', dag, re.MULTILINE)
    shard, finish = re.findall(r'f"{RUN} (.*?)"', dag)
    assert "range(1, 3)" in dag
    for options in (shard.format(number=1), shard.format(number=2), finish):
        bash(folder, f"{run} {options}")
    whyport.audit(folder / "scored")


@pytest.mark.slow
def test_shards_by_a_dag_of_airflow(folder: Path, tmp_path: Path) -> None:
    """Airflow reads the DAG without an error, and runs it to its end."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "score.py").write_text(small(block("BashOperator"), folder))
    bash(folder, "airflow db migrate && airflow dags test score", airflow(tmp_path))
    assert len(list((folder / "scored").glob("part-*.parquet"))) == PARTS
    whyport.audit(folder / "scored")
