#!/usr/bin/env bash
# The state of a machine from four sensors: a hybrid of convolution, LSTM and attention, with DeepSHAP, Grad-CAM and
# attention weights, from a table to the report. The data are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../signals.py" "$out/data"
whyport train "$out/data/train.csv" --target state --test "$out/data/test.csv" --architecture hybrid \
    --epochs 50 --learning-rate 0.005 --batch-rows 32 --checkpoint "$out/state" --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/readings.parquet" --out "$out/scored" --keep state \
    --explain deepshap --explain grad-cam --explain attention --explain-class all
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label state --out "$out/report.html" --images "$out/pictures"
