#!/usr/bin/env bash
# From a table of mortgage applications to what an auditor asks, with a known change in the second month.
# Usage: run.sh [FOLDER]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/out}
mkdir -p "$out"
cd "$out"

# 1. The data, and the keys of who answers for the model and of who runs it.
python "$here/data.py" data
for owner in model operations; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$owner.pem" 2>/dev/null
    openssl pkey -in "$owner.pem" -pubout -out "$owner.pub"
    chmod 600 "$owner.pem"
done

# 2. The model, which never sees who the applicant is, signed.
whyport train data/train.parquet --target denied --exclude application_id,black --categorical consumer_score,mortgage_score \
    --architecture mlp --set hidden=8 --epochs 8 --class-weights balanced --out bundle
whyport sign bundle --key model.pem
whyport inspect bundle

# 3. Two months, by a bundle that must be signed.
for month in january february; do
    whyport run bundle "data/$month.parquet" --out "$month" --explain deepshap --explain-target yes \
        --keep application_id,black --require-signature model.pub
    whyport sign "$month" --key operations.pem
done

# 4. Why this one?
whyport show january --where "application_id == '$(python -c "import pandas; print(pandas.read_parquet('data/january.parquet').application_id[7])")'"

# 5. What has changed since last month? Exit code 3 says that a figure is above its limit.
code=0
whyport compare january february --fail-over psi=0.25 | tee compare.txt || code=$?
[ "$code" = 3 ] || { echo "error: expected an alarm, exit code 3, got $code" >&2; exit 1; }

# 6. Are groups treated alike, now that the decisions are there?
whyport report february --by black --labels data/decisions.csv --key application_id --out february.html

# 7. Is this folder what the run wrote, and what led to this row?
whyport audit february --full --key operations.pub
whyport lineage february --row 7 --key operations.pub
