"""A tour: tables, a bundle, a run, one row's reasons, and a report."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

FOLDER = Path("demo")
SCORED_ROWS = 2_000
SHOWN_ROW = "3"


def write_tables() -> None:
    """The table as CSV to train on, and unseen patients resampled to a larger Parquet file to score."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.assign(diagnosis=data.target_names[data.target])
    train, unseen = train_test_split(table, test_size=0.2, stratify=table["diagnosis"], random_state=0)
    train.to_csv(FOLDER / "train.csv", index=False)
    unseen.to_csv(FOLDER / "test.csv", index=False)
    generator = np.random.default_rng(0)
    scored = unseen.sample(SCORED_ROWS, replace=True, random_state=0).reset_index(drop=True)
    scored[data.feature_names] *= generator.normal(1, 0.02, size=(SCORED_ROWS, len(data.feature_names)))
    scored.insert(0, "patient", [f"P{i:05d}" for i in range(SCORED_ROWS)])
    scored.loc[7, "mean radius"] = np.nan  # one row that cannot be scored
    scored.to_parquet(FOLDER / "patients.parquet", index=False)


def whyport(*arguments: str) -> None:
    """Run the command as a user would, and show it."""
    print(f"\n$ whyport {' '.join(arguments)}", flush=True)
    subprocess.run([str(Path(sys.executable).with_name("whyport")), *arguments], check=True)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    write_tables()
    bundle, scored = str(FOLDER / "bundle"), str(FOLDER / "scored")
    tables = [str(FOLDER / "train.csv"), "--test", str(FOLDER / "test.csv")]
    whyport("train", *tables, "--target", "diagnosis", "--out", bundle)
    whyport("verify", bundle)
    source = str(FOLDER / "patients.parquet")
    whyport("run", bundle, source, "--out", scored, "--explain", "deepshap", "--keep", "patient,diagnosis")
    whyport("show", scored, "--row", SHOWN_ROW)
    report = str(FOLDER / "report.html")
    whyport("report", scored, "--out", report)
    print(
        f"\ntables    {FOLDER}/train.csv, {FOLDER}/test.csv, {FOLDER}/patients.parquet"
        f"\nbundle    {bundle}/  (training curves and report in {bundle}/training/)"
        f"\noutput    {scored}/part-*.parquet, rejected rows in {scored}/_rejected/"
        f"\nreport    {report}  (open it in a browser)"
    )


if __name__ == "__main__":
    main()
