"""Jobs in object stores: the same bytes as on a disk, whatever happens on the way, and no secret in anything."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from store_server import KEY_ID, SECRET, StoreServer, environment
from whyport.runtime.errors import AuditError, JobError, OutputError, UsageError
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

Write = Callable[..., Path]
OPTIONS: dict[str, Any] = {"batch_rows": 5, "part_rows": 10, "explain": "gradient", "keep": ["id"]}


@pytest.fixture
def inputs(table: pa.Table, write: Write) -> Path:
    """A folder of three files; one is empty, and one has rows that are rejected."""
    bad = table.slice(0, 23).set_column(1, "a", pa.array([None if i in (3, 12) else 1.0 for i in range(23)]))
    for name, rows in {"a": table.slice(0, 45), "b": table.slice(0, 0), "c": bad}.items():
        write(rows.cast(table.schema), f"in/{name}.parquet", row_group_size=8)
    return write(table.slice(0, 12), "in/d.parquet").parent


def put_folder(folder: Path, root: str, name: str) -> str:
    """Put all files of a folder into a store; gives the address of the copy."""
    for path in folder.rglob("*"):
        if path.is_file():
            client.put(root, f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"{root}/{name}"


def contents(out: str | Path) -> dict[str, bytes]:
    """Every part by its name."""
    if isinstance(out, Path):
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("part*.parquet"))}
    place = StorePath(out)
    files = [path for path, _ in place.walk_files() if path.name.startswith("part")]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in files}


def others(out: str) -> set[str]:
    """The names of what is no part."""
    return {path.name for path, _ in StorePath(out).walk_files() if not path.name.startswith("part")}


DOCUMENTS = {"_job.json", "_report.json", "_SUCCESS"}


def test_the_parts_are_those_of_a_disk(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    report = whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS)
    made = whyport.run(bundle, inputs, f"{root}/out", **OPTIONS)
    assert made.parts == report.parts
    assert made.rows_rejected == 2
    assert contents(f"{root}/out") == contents(tmp_path / "whole")
    assert others(f"{root}/out") == DOCUMENTS
    # Inputs and the bundle in the store: the same bytes on the disk and in the store.
    there, from_there = put_folder(bundle, root, "bundle"), put_folder(inputs, root, "in")
    on_disk = whyport.run(there, from_there, tmp_path / "fetched", **OPTIONS)
    in_store = whyport.run(there, f"{from_there}/*.parquet", f"{root}/again", **OPTIONS)
    assert on_disk.parts == in_store.parts
    name = on_disk.files[0].source_file
    assert name == f"{root}/in/a.parquet"
    table = pq.read_table(tmp_path / "fetched").drop(["source_file"])
    assert table.equals(pq.read_table(tmp_path / "whole").drop(["source_file"]))


def test_every_command_looks_at_a_run_in_a_store(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    there, from_there, out = put_folder(bundle, root, "bundle"), put_folder(inputs, root, "in"), f"{root}/out"
    whyport.run(there, from_there, out, **OPTIONS)
    whyport.run(bundle, inputs, tmp_path / "out", **OPTIONS)
    assert whyport.audit(out)[:2] == whyport.audit(tmp_path / "out")[:2]
    shown, expected = (whyport.show(each, 4, file="a.parquet")[1:] for each in (out, tmp_path / "out"))
    assert shown == expected
    pages = whyport.report(out, tmp_path / "page.html", row=[4], file="a.parquet")
    assert "gradient" in pages[0].read_text()
    assert whyport.verify(there).files == whyport.verify(bundle).files
    assert whyport.plan(there, from_there, out, **OPTIONS)[-1].endswith("11 parts are finished")
    assert (
        whyport.run(there, from_there, out, **OPTIONS).performance
        == whyport.run(there, from_there, out, finish_only=True, **OPTIONS).performance
    )


def test_a_run_is_resumed_and_replaced(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    out, place = f"{root}/out", StorePath(f"{root}/out")
    whyport.run(bundle, inputs, out, **OPTIONS)
    whole = contents(out)
    client.delete(root, f"{place.key}/_SUCCESS")
    names = sorted(name for name in whole if "/" not in name)
    client.delete(root, f"{place.key}/{names[0]}")
    client.put(root, f"{place.key}/{names[1]}", whole[names[1]][:-7])
    resumed = whyport.run(bundle, inputs, out, **OPTIONS)
    assert contents(out) == whole
    assert resumed.performance.resumed_parts == len(names) - 2
    with pytest.raises(UsageError, match="--overwrite"):
        whyport.run(bundle, inputs, out, **OPTIONS | {"explain": ()})
    whyport.run(bundle, inputs, out, overwrite=True, **OPTIONS | {"explain": ()})
    assert contents(out).keys() == whole.keys()
    assert contents(out) != whole
    client.put(root, "busy/other.txt", b"")
    with pytest.raises(UsageError, match="is not empty and holds no earlier run"):
        whyport.run(bundle, inputs, f"{root}/busy", **OPTIONS)


def test_a_run_on_hadoop_is_resumed_and_audited(bundle: Path, inputs: Path, hadoop: str, tmp_path: Path) -> None:
    report = whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS)
    there, from_there, out = put_folder(bundle, hadoop, "bundle"), put_folder(inputs, hadoop, "in"), f"{hadoop}/out"
    assert whyport.run(bundle, inputs, out, **OPTIONS).parts == report.parts
    name = sorted(contents(out))[0]
    client.delete(hadoop, "out/_SUCCESS", f"out/{name}")
    assert whyport.run(bundle, inputs, out, **OPTIONS).parts == report.parts
    assert contents(out) == contents(tmp_path / "whole")
    assert others(out) == DOCUMENTS
    whyport.audit(out)
    assert whyport.run(there, from_there, f"{hadoop}/again", overwrite=True, **OPTIONS).rows_rejected == 2


def test_shards_make_the_parts_of_one_run(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    report = whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS)
    for shard in ("3/3", "1/3", "2/3", "1/3"):
        whyport.run_shard(bundle, inputs, f"{root}/out", shard, **OPTIONS)
    assert whyport.run(bundle, inputs, f"{root}/out", finish_only=True, **OPTIONS).parts == report.parts
    assert others(f"{root}/out") == DOCUMENTS
    whyport.audit(f"{root}/out")


def test_what_was_changed_is_found(bundle: Path, inputs: Path, root: str) -> None:
    out = f"{root}/out"
    whyport.run(bundle, inputs, out, **OPTIONS)
    name = sorted(contents(out))[-1]
    client.put(root, f"out/{name}", contents(out)[name] + b"x")
    with pytest.raises(AuditError, match=rf"expected sha256 .*, in {root}/out/{name}"):
        whyport.audit(out)


def test_only_new_inputs_are_scored(bundle: Path, inputs: Path, table: pa.Table, root: str, write: Write) -> None:
    from_there = put_folder(inputs, root, "in")
    first = whyport.run(bundle, from_there, f"{root}/night-1", **OPTIONS)
    assert not whyport.run(bundle, from_there, f"{root}/night-2", new_since=f"{root}/night-1", **OPTIONS).files
    client.put(root, "in/e.parquet", write(table.slice(0, 4), "e.parquet").read_bytes())
    second = whyport.run(bundle, from_there, f"{root}/night-2", new_since=f"{root}/night-1", **OPTIONS)
    assert [file.source_file for file in second.files] == [f"{root}/in/e.parquet"]
    assert len(first.files) == 4


def test_bytes_under_a_parts_name_are_an_error_and_stay(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS)
    name = sorted(contents(tmp_path / "whole"))[-1]
    # They come while the run is at work.
    done = 0

    def progress(rows: int, total: int) -> None:
        nonlocal done
        done += 1
        if done == 2:
            client.put(root, f"out/{name}", b"somebody else's")

    with pytest.raises(
        OutputError, match=rf"expected nothing or an equal part, got other bytes .*, in {root}/out/{name}"
    ):
        whyport.run(bundle, inputs, f"{root}/out", progress=progress, **OPTIONS)
    assert client.read(root, f"out/{name}") == b"somebody else's"
    assert "_SUCCESS" not in others(f"{root}/out")


def test_an_equal_part_that_was_first_is_no_error(bundle: Path, inputs: Path, root: str, tmp_path: Path) -> None:
    whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS)
    parts = contents(tmp_path / "whole")
    done = 0

    def progress(rows: int, total: int) -> None:
        nonlocal done
        done += 1
        if done == 2:
            for name, content in parts.items():
                if not StorePath(f"{root}/out/{name}").exists():
                    client.put_new(root, f"out/{name}", content)

    whyport.run(bundle, inputs, f"{root}/out", progress=progress, **OPTIONS)
    assert contents(f"{root}/out") == parts
    whyport.audit(f"{root}/out")


def test_an_input_that_is_replaced_meanwhile_ends_the_run(bundle: Path, inputs: Path, root: str) -> None:
    from_there = put_folder(inputs, root, "in")
    content = client.read(root, "in/a.parquet")

    def progress(rows: int, total: int) -> None:
        client.put(root, "in/a.parquet", content + b" ")

    with pytest.raises(JobError, match="the file changed while the run read it, in .*/in/a.parquet"):
        whyport.run(bundle, from_there, f"{root}/out", progress=progress, **OPTIONS)
    assert "_SUCCESS" not in others(f"{root}/out")


def test_an_exception_while_publishing_leaves_nothing(bundle: Path, inputs: Path, server: StoreServer) -> None:
    class BrokenError(Exception):
        pass

    real, out = client.put_new, f"{server.root}/out"

    def put_new(root: str, key: str, content: bytes) -> str | None:
        if "part-" in key:
            raise BrokenError
        return real(root, key, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "put_new", put_new)
        with pytest.raises(BrokenError):
            whyport.run(bundle, inputs, out, **OPTIONS)
    assert others(out) == {"_job.json"}
    assert not contents(out)
    assert not uploads(server)
    whyport.run(bundle, inputs, out, **OPTIONS)
    whyport.audit(out)


@pytest.mark.parametrize("puts", [3, 6, 9])
def test_a_kill_at_any_request_leaves_whole_parts_alone(
    puts: int, bundle: Path, inputs: Path, server: StoreServer, tmp_path: Path
) -> None:
    report, out = whyport.run(bundle, inputs, tmp_path / "whole", **OPTIONS), f"{server.root}/out"
    code = f"import whyport; whyport.run({str(bundle)!r}, {str(inputs)!r}, {out!r}, **{OPTIONS})"
    running: list[subprocess.Popen[bytes]] = []

    def before(method: str, path: str) -> None:
        # Killed while the server has the request, and the answer is to come.
        if method == "PUT" and server.count("PUT", "part-") == puts and running[0].poll() is None:
            running[0].send_signal(signal.SIGKILL)

    server.before = before
    running.append(subprocess.Popen([sys.executable, "-c", code], env=environment(server), stderr=subprocess.PIPE))
    _, error = running[0].communicate(timeout=300)
    assert running[0].returncode == -signal.SIGKILL, error.decode()
    server.before = lambda method, path: None
    whole = contents(tmp_path / "whole")
    assert all(whole[name] == content for name, content in contents(out).items())
    assert not uploads(server)
    with pytest.raises(JobError, match="another run writes to .* if it is dead, its lease ends after 60"):
        whyport.run(bundle, inputs, out, **OPTIONS)
    resumed = whyport.run(bundle, inputs, out, take_over=True, **OPTIONS)
    assert resumed.parts == report.parts
    assert contents(out) == whole
    assert others(out) == DOCUMENTS
    whyport.audit(out)


def uploads(server: StoreServer) -> list[Any]:
    """Uploads in several pieces that were begun and not ended."""
    import boto3

    found = boto3.client("s3", endpoint_url=server.address).list_multipart_uploads(Bucket=server.root[5:])
    return list(found.get("Uploads", []))


def test_a_server_that_ignores_conditions_is_refused_at_the_start(
    bundle: Path, inputs: Path, server: StoreServer
) -> None:
    server.ignored = ("if-none-match",)
    with pytest.raises(OutputError, match="expected a store that creates an object only once"):
        whyport.run(bundle, inputs, f"{server.root}/out", **OPTIONS)
    assert not StorePath(f"{server.root}/out").exists()


def test_no_secret_is_in_anything_that_a_run_leaves(
    bundle: Path, inputs: Path, server: StoreServer, tmp_path: Path
) -> None:
    there, from_there = put_folder(bundle, server.root, "bundle"), put_folder(inputs, server.root, "in")
    for out in (f"{server.root}/out", str(tmp_path / "out")):
        arguments = ["run", there, from_there, "--out", out, "--explain", "gradient", "--log-format", "json"]
        done = subprocess.run(
            [sys.executable, "-m", "whyport", *arguments, "--endpoint", server.address],
            env=environment(server) | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        broken = subprocess.run(
            [sys.executable, "-m", "whyport", "audit", f"{server.root}/nowhere"],
            env=environment(server),
            capture_output=True,
        )
        assert broken.returncode == 2
        said = [done.stdout, done.stderr, broken.stdout, broken.stderr]
        left = [path.read_bytes() for path, _ in StorePath(server.root).walk_files()]
        left += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert len(left) > 10
        for each in (*said, *left):
            assert KEY_ID.encode() not in each
            assert SECRET.encode() not in each


def test_nothing_of_stores_is_imported_by_a_local_run(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    code = (
        "import sys, json, whyport\n"
        f"whyport.run({str(bundle)!r}, {str(inputs)!r}, {str(tmp_path / 'out')!r}, **{OPTIONS})\n"
        f"whyport.audit({str(tmp_path / 'out')!r})\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "print(json.dumps(sorted(names & {'obstore', 'boto3', 'ray', 'pyspark'})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_an_address_of_no_store_is_refused(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    for arguments in ((bundle, inputs, "ftp://host/out"), ("http://host/b", inputs, tmp_path / "out")):
        with pytest.raises(UsageError, match="expected a path, or an address that begins with one of 's3://'"):
            whyport.run(*arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="expected a path, or an address that begins with one of 's3://'"):
        whyport.run(bundle, "ftp://host/in", tmp_path / "out")


def test_a_lock_of_a_disk_is_not_taken_over(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="take_over: expected an output folder in a store, got .*/out"):
        whyport.run(bundle, inputs, tmp_path / "out", take_over=True, **OPTIONS)
