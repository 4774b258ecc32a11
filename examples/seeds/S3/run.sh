#!/usr/bin/env bash
# The weight of a moulded part from 37 settings and sensors: a small dense network and DeepSHAP, from a table to the
# report. The data are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../moulding.py" "$out/data"
whyport train "$out/data/train.csv" --target "part weight" --target-unit "part weight=g" --task regression \
    --test "$out/data/test.csv" --architecture mlp --set hidden=10 --set layers=5 --epochs 50 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/shots.parquet" --out "$out/scored" --keep "part weight" --explain deepshap
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label "part weight" --out "$out/report.html" --images "$out/pictures"
