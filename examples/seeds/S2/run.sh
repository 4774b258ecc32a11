#!/usr/bin/env bash
# The weight of a moulded part from 37 settings and sensors: a random forest and its exact Shapley values, from a table
# to the report. The data are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../moulding.py" "$out/data"
whyport train "$out/data/train.csv" --target "part weight" --target-unit "part weight=g" --task regression \
    --test "$out/data/test.csv" --architecture forest --seed 1 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/shots.parquet" --out "$out/scored" --keep "part weight" --explain treeshap
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label "part weight" --out "$out/report.html" --images "$out/pictures"
