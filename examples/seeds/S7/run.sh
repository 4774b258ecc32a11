#!/usr/bin/env bash
# Which defect a surface has, and which parts of the picture say so: LIME and Shapley values of super-pixels for the two most
# likely classes, from encoded pictures to the report. The pictures are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../surfaces.py" "$out/data"
PYTHONPATH="$here/.." whyport export surfaces:make_dense --weights "$out/data/dense.pt" \
    --sample "$out/data/train.parquet" --input "photo=image:photo:size=48x48,channels=1" --classes patch,pits,scratch \
    --explain-references 0 --out "$out/bundle"
whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/scored" --keep defect --explain lime --explain-target top:2 \
    --per segment --segments slic --segment-count 30 --baseline segment-mean
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label defect --out "$out/report.html"

whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/shapley" --keep defect --explain shapley \
    --per segment --segments grid --segment-count 9 --baseline mean --explain-fraction 0.2
whyport audit "$out/shapley"
