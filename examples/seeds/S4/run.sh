#!/usr/bin/env bash
# Which defect a surface has, and where: a convolutional network that ends in a mean over its maps, with class activation
# maps, from encoded pictures to the report. The pictures are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../surfaces.py" "$out/data"
PYTHONPATH="$here/.." whyport export surfaces:make_gap --weights "$out/data/gap.pt" --sample "$out/data/train.parquet" \
    --input "photo=image:photo:size=48x48,channels=1" --classes patch,pits,scratch --explain-references 0 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/scored" --keep defect --explain cam --explain-target all
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label defect --out "$out/report.html" --images "$out/pictures"
