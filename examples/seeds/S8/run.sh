#!/usr/bin/env bash
# Where a network sees each of several classes: Grad-CAM of the three most likely ones, smoothed over six views, from encoded
# pictures to the report. The pictures are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../surfaces.py" "$out/data"
PYTHONPATH="$here/.." whyport export surfaces:make_gap --weights "$out/data/gap.pt" --sample "$out/data/train.parquet" \
    --input "photo=image:photo:size=48x48,channels=1" --classes patch,pits,scratch --explain-references 0 --out "$out/bundle"
whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/scored" --keep defect --explain grad-cam \
    --explain-target top:3 --augment 6
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label defect --out "$out/report.html" --images "$out/pictures"
