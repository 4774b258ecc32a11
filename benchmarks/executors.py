"""What a cluster costs: a job by Ray and by Spark, beside one process with the same cores.

    .venv-engines/bin/python benchmarks/executors.py [--rows N] [--rounds N] [--out JSON]

Ray, with as many workers of one thread as there are cores, Spark with as many executors of one, and a process with as
many threads, explain the same rows by `deepshap`, in turns. The cluster and the session are there before. The time is
from the first order to `_SUCCESS`; the workers' start, which opens the bundle, is in it. The parts must be the same.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A Ray that listens at 127.0.0.1 alone; read when it is imported.
os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "SPARK_LOCAL_IP": "127.0.0.1"}
os.environ["PYSPARK_PYTHON"] = sys.executable

import ray
from pyspark.sql import SparkSession

import whyport
from demo_model import resample
from ways import contents, differences
from whyport.executors import spark

BUNDLE = Path(__file__).resolve().parents[1] / "models" / "breast_cancer"
OPTIONS = {"explain": "deepshap", "part_rows": 256, "batch_rows": 256, "device": "cpu"}
MOST = {"ray": 1.2, "spark": 1.4}
"""The most that a job may take, as a multiple of the process's time."""


def session_of(cores: int) -> SparkSession:
    """Executors of one core each, in processes of their own."""
    builder = SparkSession.builder.master(f"local-cluster[{cores},1,1024]").config("spark.ui.enabled", "false")
    for name in ("spark.driver.host", "spark.driver.bindAddress"):
        builder = builder.config(name, "127.0.0.1")
    memory = {"spark.executor.memory": "700m", "spark.driver.memory": "700m"}
    session = builder.config(map=memory | {"spark.ui.showConsoleProgress": "false"}).getOrCreate()
    session.range(cores).count()
    return session


def seconds_of(call: Callable[..., Any]) -> float:
    """The seconds of a run, from its first order to its end."""
    began: list[float] = []

    def progress(done: int, total: int) -> None:
        began.append(time.perf_counter())

    call(progress=progress)
    return time.perf_counter() - began[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "executors.json")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    ray.init("local", num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    session = session_of(cores)
    seconds: dict[str, list[float]] = {"local": [], "ray": [], "spark": []}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        rows = folder / "rows.parquet"
        resample(arguments.rows).to_parquet(rows, index=False)
        for turn in range(arguments.rounds):
            ways = {
                "local": lambda out, **more: whyport.run(BUNDLE, rows, out, threads=cores, **OPTIONS, **more),
                "ray": lambda out, **more: whyport.run(BUNDLE, rows, out, on="ray", threads=1, **OPTIONS, **more),
                "spark": lambda out, **more: spark.run(session, BUNDLE, rows, out, threads=1, **OPTIONS, **more),
            }
            for name, way in ways.items():
                out = folder / f"{name}-{turn}"
                seconds[name].append(round(seconds_of(lambda way=way, out=out, **more: way(out, **more)), 2))
                other = differences(contents(out), contents(folder / "local-0"))
                if other:
                    raise SystemExit(f"{name}: other files than the process's: {other}")
                print(name, seconds[name][-1], "s")
    session.stop()
    ray.shutdown()
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ratios = {name: round(medians[name] / medians["local"], 3) for name in MOST}
    results = {"rows": arguments.rows, "cores": cores, "seconds": seconds, "to_one_process": ratios, "most": MOST}
    print(json.dumps(results, indent=2))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results, indent=2) + "\n")
    sys.exit(any(ratios[name] > most for name, most in MOST.items()))


if __name__ == "__main__":
    main()
