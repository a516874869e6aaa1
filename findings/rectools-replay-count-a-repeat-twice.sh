#!/usr/bin/env bash
# An item that a user took twice in the test rows lifts RecTools' NDCG above 1, and keeps REPLAY's NDCG and MAP of a perfect list below 1.
#
# Versions   rectools 0.19.0, replay-rec 0.22.0 (pandas).
# Guess      Targets are a set, as for trec_eval and ranx: the test rows may be a table of events, in which people listen to or buy a thing
#            again, and a list with all that a user took, and nothing above it, has NDCG 1 and MAP 1.
# Behaviour  RecTools joins the list with the rows: a hit with two rows counts as two hits at one rank, but as two targets of the ideal at
#            ranks 1 and 2. So NDCG is 1.23 with two rows and 2.20 with ten, and precision@10 is 1 with ten rows of one item; MAP and
#            recall stay. REPLAY makes the hits a set but takes the number of rows for the number of targets in NDCG's ideal and in MAP:
#            with two rows a perfect list has 0.61 and 0.5; recall and precision stay. Neither warns. (RecTools is run with
#            divide_by_achievable=True: by default its NDCG@10 of a perfect list of one target is 0.22, since it divides by ten hits.)
# Freshet    Targets of a case are a set. Drop repeated (user, item) rows before these tools are asked for a comparison.
# Needs      Python 3 with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in rectools==0.19.0 replay-rec==0.22.0; do
    python3 -m venv "${package%%=*}"
    "${package%%=*}/bin/pip" -q --disable-pip-version-check install "$package" pandas==2.3.3
done

cat >rows.py <<'PY'
import warnings
import pandas as pd
warnings.filterwarnings("ignore")

# One user, whose list has the one item of the test at its head, and others after it.
def tables(user, item, rank, repeats):
    taken = pd.DataFrame({user: ["ada"] * repeats, item: ["tea"] * repeats})
    listed = pd.DataFrame({user: ["ada"] * 10, item: ["tea"] + [f"other {i}" for i in range(9)], rank: range(1, 11)})
    return listed, taken
PY
cat >with_rectools.py <<'PY'
from rows import tables
from rectools import Columns
from rectools.metrics import MAP, NDCG, Precision, Recall

for repeats in 1, 2, 10:
    listed, taken = tables(Columns.User, Columns.Item, Columns.Rank, repeats)
    metrics = {"NDCG": NDCG(10, divide_by_achievable=True), "MAP": MAP(10), "precision": Precision(10), "recall": Recall(10)}
    print("RecTools", repeats, *(f"{name} {m.calc(listed, taken):.3f}" for name, m in metrics.items()))
print(f"RecTools, by default, one row: NDCG {NDCG(10).calc(*tables(Columns.User, Columns.Item, Columns.Rank, 1)):.3f}")
PY
cat >with_replay.py <<'PY'
from rows import tables
from replay.metrics import MAP, NDCG, Precision, Recall

for repeats in 1, 2, 10:
    listed, taken = tables("query_id", "item_id", "rating", repeats)
    listed["rating"] = 1.0 / listed["rating"]
    metrics = {"NDCG": NDCG(10), "MAP": MAP(10), "precision": Precision(10), "recall": Recall(10)}
    print("REPLAY", repeats, *(f"{name} {float(next(iter(m(listed, taken).values()))):.3f}" for name, m in metrics.items()))
PY
rectools/bin/python with_rectools.py | tee seen
replay-rec/bin/python with_replay.py | tee -a seen
cat >expected <<'SEEN'
RecTools 1 NDCG 1.000 MAP 1.000 precision 0.100 recall 1.000
RecTools 2 NDCG 1.226 MAP 1.000 precision 0.200 recall 1.000
RecTools 10 NDCG 2.201 MAP 1.000 precision 1.000 recall 1.000
RecTools, by default, one row: NDCG 0.220
REPLAY 1 NDCG 1.000 MAP 1.000 precision 0.100 recall 1.000
REPLAY 2 NDCG 0.613 MAP 0.500 precision 0.100 recall 1.000
REPLAY 10 NDCG 0.220 MAP 0.100 precision 0.100 recall 1.000
SEEN
diff expected seen
