"""A finished run with something of everything, and the table of what may be done to it: each edit with what says so.

Every edit makes the counts and the digests right again, wherever nothing but a signature would tell.
"""

import datetime as dt
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import whyport
from support.forging import edit_json, forge, make_right, rewrite, with_column
from support.mixed import mixed_bundle

FIRST, SECOND = (f"part-00000-{start:012d}-{start + 20:012d}.parquet" for start in (0, 20))
"""Parts with rejected rows."""
OTHER = "part-00001-000000000000-000000000020.parquet"


@dataclass(frozen=True)
class Run:
    """The folders of a run."""

    base: Path

    @property
    def out(self) -> Path:
        """The output."""
        return self.base / "out"

    @property
    def bundle(self) -> Path:
        """The bundle."""
        return self.base / "bundle"

    def input(self, name: str) -> Path:
        """An input."""
        return self.base / "in" / f"{name}.parquet"

    def report(self, change: Callable[[Any], Any]) -> None:
        """Edit _report.json."""
        edit_json(self.out / "_report.json", change)

    def job(self, change: Callable[[Any], Any]) -> None:
        """Edit _job.json alone."""
        edit_json(self.out / "_job.json", change)

    def everywhere(self, change: Callable[[Any], Any]) -> None:
        """Edit what _job.json and the footer of every part say alike."""
        self.footers("whyport", change)
        self.job(change)

    def footers(self, key: str, change: Callable[[Any], Any]) -> None:
        """Edit a value of every part's metadata."""
        for path in sorted(self.out.rglob("part-*.parquet")):
            metadata = dict(pq.read_metadata(path).metadata)
            document = json.loads(metadata[key.encode()])
            change(document)
            rewrite(path, metadata=metadata | {key.encode(): json.dumps(document, ensure_ascii=False).encode()})
        make_right(self.out, counts_rows=False)

    def digests(self) -> None:
        """Make the digests right again."""
        make_right(self.out)


def make_run(base: Path) -> Run:
    """Make the run: two inputs, two more that are left out, rejected rows, unseen values, parts of 20 rows."""
    run = Run(base)
    mixed_bundle(run.bundle)
    run.input("a").parent.mkdir()
    pq.write_table(_table(60, 0), run.input("a"))
    pq.write_table(_table(40, 1), run.input("b"))
    late = _table(30, 2).to_pydict()
    late["age"][25] = 1e39
    pq.write_table(pa.table(late, schema=_table(1, 0).schema), run.input("c"))
    run.input("d").write_text("no Parquet")
    whyport.run(
        run.bundle,
        run.base / "in",
        run.out,
        explain="shapley",
        explain_where="age < 80",
        keep=["id", "age"],
        on_bad_file="skip",
        batch_rows=10,
        part_rows=20,
        device="cpu",
    )
    return run


def _table(rows: int, seed: int) -> pa.Table:
    draw = np.random.default_rng(seed)
    ages: list[float | None] = draw.uniform(20, 90, rows).round(1).tolist()
    regions = draw.choice(["north", "south", "east"], rows).tolist()
    for row in range(3, rows, 9):
        ages[row] = None
    days = [dt.date(1940, 1, 1) + dt.timedelta(int(each)) for each in draw.integers(0, 21_000, rows)]
    columns: dict[str, Any] = {
        "id": [f"{seed}-{row}" for row in range(rows)],
        "age": ages,
        "region": regions,
        "since": days,
        "grade": draw.integers(1, 3, rows).tolist(),
        "member": (draw.random(rows) < 0.5).tolist(),
    }
    return pa.table(columns)


@dataclass(frozen=True)
class Edit:
    """Something that is done to a finished run."""

    what: str
    """What was changed, in words."""
    says: str
    """What the audit says, a part of its error."""
    act: Callable[[Run], None]


def _in(part: str, change: Callable[[pa.Table], pa.Table]) -> Callable[[Run], None]:
    """An edit of one part's rows."""
    return lambda run: forge(run.out, change, part)


def _report(*keys: Any, to: Any) -> Callable[[Run], None]:
    """An edit of one value of the report."""
    return lambda run: run.report(lambda document: set_value(document, keys, to))


def _job(*keys: Any, to: Any) -> Callable[[Run], None]:
    """An edit of one value of _job.json."""
    return lambda run: run.job(lambda document: set_value(document, keys, to))


def _both(*keys: Any, to: Any) -> Callable[[Run], None]:
    """An edit of one value of _job.json, and of the footer of every part."""
    return lambda run: run.everywhere(lambda document: set_value(document, keys, to))


def _footers(*keys: Any, to: Any) -> Callable[[Run], None]:
    """An edit of the totals of every part, with the report made to fit."""
    return lambda run: run.footers("whyport.totals", lambda document: set_value(document, keys, to))


def set_value(document: Any, keys: tuple[Any, ...], to: Any) -> None:
    """Set a value in a document, to what a function gives of it or to another value."""
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = to(document[keys[-1]]) if callable(to) else to


def _hide(run: Run, *, is_thorough: bool) -> None:
    """Hide an input as one that was left out."""
    name = str(run.input("b"))
    for path in run.out.rglob("part-00001-*.parquet"):
        path.unlink()
    reason = f"expected a Parquet file, got one that cannot be read, in {name}"
    run.report(lambda document: document["skipped"].insert(0, {"source_file": name, "reason": reason}))
    run.digests()
    if is_thorough:
        edit_json(run.out / "_skipped.json", lambda document: document.update({name: reason}))


def _left_out_reason(run: Run) -> None:
    """Give another reason for an input that was left out, wherever it is said."""
    name, reason = str(run.input("c")), "expected a Parquet file, got one that cannot be read"
    run.report(lambda document: document["skipped"][0].update(reason=reason))
    edit_json(run.out / "_skipped.json", lambda document: document.update({name: reason}))


def _forget_left_out(run: Run) -> None:
    """Say nothing of an input that could not be read."""
    run.report(lambda document: document["skipped"].pop())


def _moved_out(run: Run) -> None:
    """Move a good row of a part to the rejected rows."""
    part, beside = run.out / FIRST, run.out / "_rejected" / FIRST
    row = pq.read_table(part, partitioning=None).slice(0, 1)
    reason = "column 'age': expected a finite number, got null"
    rewrite(part, lambda table: table.slice(1))

    def with_row(table: pa.Table) -> pa.Table:
        columns = {name: row[name] for name in ("source_file", "source_row", "id", "age")} | {"reason": [reason]}
        return pa.concat_tables([pa.table({n: columns[n] for n in table.column_names}, schema=table.schema), table])

    rewrite(beside, with_row)
    make_right(run.out)


def _moved_in(run: Run) -> None:
    """Move a rejected row into its part, with the predictions of another row."""
    part, beside = run.out / FIRST, run.out / "_rejected" / FIRST
    row = pq.read_table(beside, partitioning=None).slice(0, 1)
    rewrite(beside, lambda table: table.slice(1))

    def with_row(table: pa.Table) -> pa.Table:
        number = row["source_row"][0].as_py()
        added = table.slice(0, 1)
        for name in ("source_row", "id", "age"):
            added = added.set_column(table.column_names.index(name), table.schema.field(name), row[name])
        return pa.concat_tables([table, added]).sort_by("source_row") if number is not None else table

    rewrite(part, with_row)
    make_right(run.out)


def _swapped(table: pa.Table) -> pa.Table:
    """The second and the third row in each other's place."""
    return table.take([0, 2, 1, *range(3, table.num_rows)])


def _swapped_but(*names: str) -> Callable[[pa.Table], pa.Table]:
    """The values of two rows exchanged, but for some columns."""

    def change(table: pa.Table) -> pa.Table:
        swapped = _swapped(table)
        for name in names:
            swapped = swapped.set_column(table.column_names.index(name), table.schema.field(name), table[name])
        return swapped

    return change


def _exchanged(one: str, other: str) -> Callable[[pa.Table], pa.Table]:
    """Two columns exchanged."""

    def change(table: pa.Table) -> pa.Table:
        i, j = table.column_names.index(one), table.column_names.index(other)
        first, second = table[one], table[other]
        table = table.set_column(i, table.schema.field(one), second)
        return table.set_column(j, table.schema.field(other), first)

    return change


def _typed(name: str, kind: pa.DataType) -> Callable[[pa.Table], pa.Table]:
    """A column in another type."""
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].cast(kind))


def _with_field_metadata(table: pa.Table) -> pa.Table:
    field = table.schema.field("score").with_metadata({"unit": "points"})
    return table.set_column(table.column_names.index("score"), field, table["score"])


def _metadata(key: str, value: bytes | None) -> Callable[[Run], None]:
    """A key of one part's metadata set, or taken away."""

    def act(run: Run) -> None:
        path = run.out / FIRST
        metadata = dict(pq.read_metadata(path).metadata)
        metadata.pop(key.encode(), None)
        rewrite(path, metadata=metadata | ({} if value is None else {key.encode(): value}))
        run.digests()

    return act


def _renamed(run: Run) -> None:
    """Give a part the name of other rows."""
    for folder in (run.out, run.out / "_rejected"):
        if (folder / SECOND).exists():
            (folder / SECOND).rename(folder / SECOND.replace("20-000000000040", "60-000000000080"))
    run.digests()


def _exchanged_parts(run: Run) -> None:
    """Exchange the names of two parts."""
    for folder in (run.out, run.out / "_rejected"):
        one, other, third = folder / FIRST, folder / SECOND, folder / "third"
        one.rename(third)
        other.rename(one)
        third.rename(other)
    run.digests()


def _unexplained(table: pa.Table) -> pa.Table:
    """The first row as one that is not explained."""
    names = table.column_names
    for name in names[names.index("explained_target") : -1]:
        table = with_column(name, lambda values: [None, *values[1:]])(table)
    return table


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def _removed(name: str, *, is_told: bool) -> Callable[[Run], None]:
    def act(run: Run) -> None:
        (run.out / name).unlink()
        if is_told:
            run.report(lambda document: document["parts"].pop(name))

    return act


def _added(name: str, make: Callable[[Path, Run], Any]) -> Callable[[Run], None]:
    """Something new in the folder."""

    def act(run: Run) -> None:
        path = run.out / name
        path.parent.mkdir(exist_ok=True)
        make(path, run)

    return act


def _copy_part(path: Path, run: Run) -> None:
    shutil.copy(run.out / FIRST, path)


def _link_to_part(path: Path, run: Run) -> None:
    path.symlink_to(run.out / FIRST)


def _part_as_link(run: Run) -> None:
    moved = run.base / "elsewhere.parquet"
    (run.out / FIRST).rename(moved)
    (run.out / FIRST).symlink_to(moved)


def _of_another_run(run: Run) -> None:
    """Put the part of a run with other settings in the place of one."""
    other = run.base / "other"
    options: dict[str, Any] = {"explain": "shapley", "explain_where": "age < 80", "keep": ["id", "age"]}
    whyport.run(run.bundle, run.input("a"), other, **options, seed=1, batch_rows=10, part_rows=20, device="cpu")
    for name in (FIRST, f"_rejected/{FIRST}"):
        shutil.copy(other / name, run.out / name)
    run.digests()


def _input_changed(run: Run) -> None:
    table = pq.read_table(run.input("a"), partitioning=None)
    pq.write_table(with_column("age", lambda v: [*v[:-1], 21.0])(table), run.input("a"))


def _input_repaired(run: Run) -> None:
    """Repair an input that was left out, which hides that it was bad."""
    pq.write_table(_table(30, 2), run.input("c"))


def _bundle_changed(run: Run) -> None:
    path = run.bundle / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\0")


def _other_bundle(run: Run) -> None:
    edit_json(run.bundle / "bundle.json", lambda document: document.update(name="another"))


ADD_TEXT: Callable[[Path, Run], Any] = lambda path, run: path.write_text("x")  # noqa: E731
PROVIDER = "CUDAExecutionProvider"

EDITS = (
    Edit(
        "an input hidden as left out, its parts deleted",
        "expected bad files alone, got one",
        lambda run: _hide(run, is_thorough=True),
    ),
    Edit(
        "the same, but for `_skipped.json`", "that the report has as skipped", lambda run: _hide(run, is_thorough=False)
    ),
    Edit("the reason of an input that was left out", "skipped: expected the reason", _left_out_reason),
    Edit("an input that could not be read, not mentioned", "that could not be read among them", _forget_left_out),
    Edit("an input that was left out, repaired since", "expected the input that was left out", _input_repaired),
    Edit("`_skipped.json` removed", "that the report has as skipped", _removed("_skipped.json", is_told=False)),
    Edit("a good row moved to `_rejected`", "expected rows that cannot be scored, got one that can", _moved_out),
    Edit("a rejected row moved into its part", "expected rows that can be scored", _moved_in),
    Edit(
        "the reason of a rejected row",
        "expected the reason",
        _in(f"_rejected/{FIRST}", with_column("reason", lambda v: ["too old", *v[1:]])),
    ),
    Edit(
        "a kept value of a rejected row",
        "kept column 'id'",
        _in(f"_rejected/{FIRST}", with_column("id", lambda v: ["x", *v[1:]])),
    ),
    Edit(
        "two rejected rows swapped",
        "expected the rows in their input's order",
        _in(f"_rejected/{FIRST}", lambda t: t.take([1, 0])),
    ),
    Edit("a rejected row deleted", "rows out or rejected, got", _in(f"_rejected/{FIRST}", lambda t: t.slice(1))),
    Edit("two rows swapped in a part", "expected the rows in their input's order", _in(FIRST, _swapped)),
    Edit("two rows' values exchanged under their numbers", "kept column 'id'", _in(FIRST, _swapped_but("source_row"))),
    Edit(
        "two rows' predictions and reasons exchanged",
        "computed again it comes out different",
        _in(FIRST, _swapped_but("source_row", "id", "age")),
    ),
    Edit("a row deleted", "rows out or rejected, got", _in(FIRST, lambda t: t.slice(1))),
    Edit(
        "a row doubled in the place of another",
        "expected the rows in their input's order",
        _in(FIRST, lambda t: t.take([0, 0, *range(2, t.num_rows)])),
    ),
    Edit("a row's number", "once each, in order", _in(FIRST, with_column("source_row", lambda v: [*v[:-1], 25]))),
    Edit("a row's file", "expected rows of", _in(FIRST, with_column("source_file", lambda v: ["x", *v[1:]]))),
    Edit(
        "a prediction, with the counts made to fit",
        "prediction: computed again",
        _in(FIRST, with_column("prediction", lambda v: [{"no": "yes", "yes": "no"}[v[0]], *v[1:]])),
    ),
    Edit(
        "a prediction that is no class",
        "prediction: expected one of the classes",
        _in(FIRST, with_column("prediction", lambda v: ["maybe", *v[1:]])),
    ),
    Edit(
        "a probability",
        "computed again it comes out different",
        _in(FIRST, with_column("probability.yes", lambda v: [x + 0.001 for x in v])),
    ),
    Edit(
        "an attribution",
        "completeness_error: computed again",
        _in(FIRST, with_column("attribution.age", lambda v: [x and x + 0.1 for x in v])),
    ),
    Edit(
        "two features' attributions exchanged",
        "shapley: attributions: computed again",
        _in(FIRST, _exchanged("attribution.age", "attribution.since")),
    ),
    Edit(
        "the number of evaluations",
        "evaluations: computed again",
        _in(FIRST, with_column("evaluations", lambda v: [x and x + 1 for x in v])),
    ),
    Edit(
        "`converged`, with the counts made to fit",
        "converged: computed again",
        _in(FIRST, with_column("converged", lambda v: [None if x is None else not x for x in v])),
    ),
    Edit(
        "an explanation taken away, with the counts made to fit",
        "computed again it comes out different",
        _in(FIRST, lambda t: _unexplained(t)),
    ),
    Edit(
        "a column deleted",
        "expected the columns that the settings give",
        _in(FIRST, lambda t: t.drop_columns(["converged"])),
    ),
    Edit(
        "a column added",
        "expected the columns that the settings give",
        _in(FIRST, lambda t: t.append_column("approved", t["converged"])),
    ),
    Edit(
        "a column renamed",
        "expected the columns that the settings give",
        _in(FIRST, lambda t: t.rename_columns(["x" if n == "score" else n for n in t.column_names])),
    ),
    Edit(
        "a column in another type",
        "expected the columns that the settings give",
        _in(FIRST, _typed("score", pa.float64())),
    ),
    Edit("a column's metadata", "expected the columns that the settings give", _in(FIRST, _with_field_metadata)),
    Edit("a key added to a part's metadata", "expected the metadata of a part", _metadata("approved", b"yes")),
    Edit(
        "the features' names in a part's metadata",
        "expected the metadata of a part",
        _metadata("whyport.features", b'["since", "region", "age", "grade", "member"]'),
    ),
    Edit(
        "class counts exchanged in the report",
        "predictions: expected",
        _report("predictions", to=lambda v: dict(zip(v, [*v.values()][::-1], strict=True))),
    ),
    Edit(
        "class counts exchanged in the footers too",
        "predictions in the footer",
        _footers("predictions", to=lambda v: dict(zip(v, [*v.values()][::-1], strict=True))),
    ),
    Edit("`rows_in`", "rows in, ", _report("rows_in", to=99)),
    Edit("the reasons counted in the report", "rejected: expected", _report("rejected", to={"too old": 12})),
    Edit(
        "the reasons counted in the footers too",
        "rejected in the footer",
        _footers("rejected", to=lambda v: {"too old": sum(v.values())}),
    ),
    Edit(
        "the errors under `methods`",
        "methods: expected",
        _report("methods", "shapley", "worst_completeness_error", to=0.0),
    ),
    Edit(
        "the errors in the footers too",
        "methods in the footer",
        _footers("methods", "shapley", "errors", "worst", to=0.0),
    ),
    Edit("the rows under `files`", "files: expected", _report("files", 0, "rows_out", to=54)),
    Edit("`explained`", "explained: expected", _report("explained", "shapley", to=1)),
    Edit("`unseen`", "unseen: expected", _report("unseen", "region", to=1)),
    Edit("`unseen` in the footers too", "unseen in the footer", _footers("unseen", "region", to=1)),
    Edit("`rows_unseen` in the footers too", "rows_unseen in the footer", _footers("rows_unseen", to=1)),
    Edit("`provider` in the report", "provider: expected", _report("provider", to=PROVIDER)),
    Edit(
        "`provider` everywhere",
        "arithmetic: expected",
        lambda run: (_both("provider", to=PROVIDER)(run), _report("provider", to=PROVIDER)(run))[0],
    ),
    Edit("a setting in `_job.json` alone", "expected settings", _job("settings", "explain", "seed", to=1)),
    Edit(
        "`on_bad_row` everywhere",
        "expected rows that cannot be scored, got one that can",
        _both("settings", "on_bad_row", to="impute"),
    ),
    Edit("`explain_where` everywhere", "which rows are explained", _both("settings", "explain_where", to="age < 60")),
    Edit("`methods` everywhere", "arithmetic: expected", _both("settings", "methods", to=["occlusion"])),
    Edit("pyarrow's version everywhere", "expected a file of pyarrow", _both("versions", "pyarrow", to="1.0.0")),
    Edit("the version of `_job.json`", "format_version: expected", _job("format_version", to=4)),
    Edit("the bundle's name everywhere", "bundle.name: expected", _both("bundle", "name", to="another")),
    Edit("the classes exchanged", "targets: expected", _job("targets", to=lambda v: v[::-1])),
    Edit("an input's size", "inputs[0].size: expected", _job("inputs", 0, "size", to=1)),
    Edit("a part replaced by one of another run", "expected settings", _of_another_run),
    Edit("two parts exchanged", "expected source_rows", _exchanged_parts),
    Edit("a part renamed", "expected a part that a run has written", _renamed),
    Edit("a part deleted", "files that are missing", _removed(FIRST, is_told=False)),
    Edit("a part deleted and not mentioned", "expected a part that a run has written", _removed(FIRST, is_told=True)),
    Edit(
        "rejected rows deleted and not mentioned", "got others or fewer", _removed(f"_rejected/{FIRST}", is_told=True)
    ),
    Edit("a part changed by one byte", "expected sha256", lambda run: _flip(run.out / FIRST)),
    Edit(
        "a foreign Parquet file",
        "expected only what the run has written, got 'extra.parquet'",
        _added("extra.parquet", _copy_part),
    ),
    Edit(
        "a foreign Parquet file with the name of a part",
        "that were added",
        _added("part-00009-000000000000-000000000020.parquet", _copy_part),
    ),
    Edit(
        "a foreign file among the rejected rows",
        "expected only what the run has written",
        _added("_rejected/notes.txt", ADD_TEXT),
    ),
    Edit("a hidden file", "expected only what the run has written", _added(".hidden", ADD_TEXT)),
    Edit("what an attempt left", "expected only what the run has written", _added(f".{FIRST}.1-2.tmp", ADD_TEXT)),
    Edit("a folder of Hive's", "expected only what the run has written", _added("day=1/part-0.parquet", _copy_part)),
    Edit(
        "a file whose name begins as a worker's",
        "expected only what the run has written",
        _added("_workers-x.parquet", _copy_part),
    ),
    Edit("a link beside the parts", "expected only what the run has written", _added("link.parquet", _link_to_part)),
    Edit("a part that is a link", "a link", _part_as_link),
    Edit(
        "a text in `_SUCCESS`", "expected an empty file", lambda run: (run.out / "_SUCCESS").write_text("yes") and None
    ),
    Edit("`_SUCCESS` deleted", "got one without _SUCCESS", _removed("_SUCCESS", is_told=False)),
    Edit("a value of an input changed, under the same footer", "kept column 'age'", _input_changed),
    Edit(
        "an input replaced",
        "expected the input that was scored",
        lambda run: pq.write_table(_table(60, 5), run.input("a")),
    ),
    Edit("a file of the bundle changed", "model.onnx", _bundle_changed),
    Edit("another bundle in its place", "expected the bundle with digest", _other_bundle),
)


def leaves(document: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a document that holds no others."""
    inside = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in inside:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*keys, key))
        else:
            yield (*keys, key)


OTHER_NAMES = {
    "reject": "impute",
    "score": "reject",
    "wide": "list",
    "cell": "feature",
    "sum": "abs",
    "torchscript": "onnx",
    "shapley": "occlusion",
    "predicted": "yes",
    "CPUExecutionProvider": PROVIDER,
}
"""For a name that a document has, another one that it may have."""


def edited(value: Any) -> Any:
    """Another value of the same type, as far as there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return OTHER_NAMES.get(value, f"{value}x")
    return {"x": 1} if value == {} else ["x"] if value == [] else 1


def place(keys: tuple[Any, ...]) -> str:
    """A place in words; a position in a list is a star."""
    return ".".join("*" if isinstance(key, int) else key for key in keys)


ALONE = {
    "_job.json": ("inputs.*.modified_ns",),
    "_report.json": (
        "bundle_signature",
        "passed_over.hidden",
        "passed_over.names",
        "passed_over.others",
        "passed_over.scored",
        "performance.peak_memory_bytes",
        "performance.resumed_parts",
        "performance.rows_per_second.<stage>",
        "performance.seconds.<stage>",
        "performance.workers",
    ),
}
"""What only a signature can vouch for, by document: nothing else in the folder, bundle or inputs knows of it."""

EVERYWHERE = (
    "settings.call_rows",
    "settings.explain.absolute_tolerance",
    "settings.explain.engine",
    "settings.explain.memory",
    "settings.explain.seed",
    "settings.explain.tolerance",
    "versions.numpy",
    "versions.onnxruntime",
    "versions.whyport",
)
"""The same of what _job.json and the footers of all parts say alike, where all of them are edited.

Of the settings these are the ones that change no value of this run: its method is exact, and draws nothing.
"""

FILLED = {
    "workers": {"orders": {"ray-1": 1}, "attempts": 1, "lost": []},
    "bundle_signature": {"sha256": "0" * 64, "key": None, "verified": True},
}
"""What may stand in the place of null, by key."""


def column_edits(table: pa.Table, name: str) -> Iterator[tuple[str, Callable[[pa.Table], pa.Table]]]:
    """What may be done to a column of a part, each with its name."""
    kind = table.schema.field(name).type
    values = table[name].to_pylist()
    first = next(i for i, value in enumerate(values) if value is not None)
    yield "changed", with_column(name, lambda v: [*v[:first], _other(v[first]), *v[first + 1 :]])
    others = [i for i, value in enumerate(values) if value is not None and _is_apart(value, values[first])]
    if others:
        order = [*range(table.num_rows)]
        order[first], order[others[0]] = others[0], first
        yield "swapped", with_column(name, lambda v: [v[i] for i in order])
    yield "null", with_column(name, lambda v: [*v[:first], None, *v[first + 1 :]])
    yield "deleted", lambda t: t.drop_columns([name])
    yield "renamed", lambda t: t.rename_columns([f"{n}x" if n == name else n for n in t.column_names])
    wide = {
        pa.string(): pa.large_string(),
        pa.float32(): pa.float64(),
        pa.int32(): pa.int64(),
        pa.int64(): pa.float64(),
    }
    yield "retyped", _typed(name, wide.get(kind, pa.string()))


def _is_apart(one: Any, other: Any) -> bool:
    """Whether values differ by more than engines may."""
    return abs(one - other) > 1e-3 if isinstance(one, float) else bool(one != other)


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value + 0.01 if isinstance(value, float) else f"{value}x"
