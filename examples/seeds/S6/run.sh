#!/usr/bin/env bash
# Whether a loan is approved, from five columns: a random forest and its exact Shapley values, from a table to the
# report. The data are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../loans.py" "$out/data"
whyport train "$out/data/train.csv" --target approved --test "$out/data/test.csv" --architecture forest \
    --set n_estimators=150 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/applications.parquet" --out "$out/scored" --keep approved \
    --explain treeshap --explain-target all
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label approved --out "$out/report.html" --images "$out/pictures"
