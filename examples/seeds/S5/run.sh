#!/usr/bin/env bash
# Which defect a surface has, and where: a convolutional network with dense layers behind it, with Grad-CAM of every
# convolution and DeepSHAP, from encoded pictures to the report. The pictures are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../surfaces.py" "$out/data"
PYTHONPATH="$here/.." whyport export surfaces:make_dense --weights "$out/data/dense.pt" \
    --sample "$out/data/train.parquet" --input "photo=image:photo:size=48x48,channels=1" --classes patch,pits,scratch \
    --explain-references 0 --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/maps" --keep defect --explain grad-cam --layer '*'
whyport audit "$out/maps"
whyport report "$out/maps" --label defect --out "$out/maps.html"

whyport run "$out/bundle" "$out/data/pictures.parquet" --out "$out/scored" --keep defect --explain deepshap \
    --baseline mean
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label defect --out "$out/report.html"
