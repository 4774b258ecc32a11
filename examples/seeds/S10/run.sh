#!/usr/bin/env bash
# Whether the bearing of a press is worn, from four sensors over 24 moments of a cycle: an LSTM over [steps, features]
# with DeepSHAP and integrated gradients, from a table to the report. Each cell has a share; then each sensor has one
# magnitude, and each moment one signed sum. The data are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../presses.py" "$out/data"
whyport train "$out/data/train.parquet" --target bearing --test "$out/data/test.parquet" \
    --input "cycle=sequence:sensors:names=force|current|vibration|temperature" \
    --architecture lstm --set lstm_hidden=8 --epochs 40 --learning-rate 0.02 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/cycles.parquet" --out "$out/scored" --keep bearing \
    --explain deepshap --explain integrated-gradients --explain-class worn
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label bearing --out "$out/report.html" --images "$out/pictures"

whyport run "$out/bundle" "$out/data/cycles.parquet" --out "$out/sensors" --keep bearing \
    --explain deepshap --explain-class worn --per feature --reduction abs
whyport run "$out/bundle" "$out/data/cycles.parquet" --out "$out/moments" --keep bearing \
    --explain deepshap --explain-class worn --per step
