#!/usr/bin/env bash
# Whether a film review is good, and by which words: a BERT-class encoder with integrated gradients and DeepSHAP by token,
# against embeddings of zeros, from a table to the report. The reviews are simulated. Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}

python "$here/../films.py" "$out/data"
PYTHONPATH="$here/.." whyport export films:make --weights "$out/data/weights.pt" --sample "$out/data/train.parquet" \
    --input "input_ids=text:review:tokenizer=$out/data/tokenizer.json,max_length=32,buckets=16|32" \
    --classes bad,good --out "$out/bundle"
whyport verify "$out/bundle"
whyport run "$out/bundle" "$out/data/reviews.parquet" --out "$out/scored" --keep review --keep verdict \
    --explain integrated-gradients --explain deepshap --explain-class good --baseline zero
whyport audit "$out/scored"
whyport show "$out/scored" --row 0
whyport report "$out/scored" --label verdict --out "$out/report.html" --images "$out/pictures"
