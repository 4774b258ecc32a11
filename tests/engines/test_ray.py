"""Ray: the very same parts as this process makes, whatever becomes of its workers."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

# Its processes listen at 127.0.0.1 alone; read when Ray is imported.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
import ray
from ray.cluster_utils import Cluster

import whyport
from support.clusters import (
    FILES,
    OPTIONS,
    ROWS,
    check_bad_file_told,
    check_other_versions_refused,
    check_resumed_elsewhere,
    check_whole,
    contents,
    moments,
    once,
    processes,
)
from support.every_method import METHODS_OF, options_of, write_rows
from support.killed_runs import run_and_kill
from support.pages import ROOT, blocks
from whyport.batch.run.executors import ray_crew
from whyport.batch.run.executors.executor import Outcomes
from whyport.batch.run.executors.ray_cluster import connected
from whyport.batch.run.executors.remote import Done, own_name
from whyport.batch.run.worker import Order
from whyport.runtime.errors import JobError, ParityError

# Ray leaves its logs open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 << 20}
COMMAND = Path(sys.executable).with_name("whyport")
KILLS = 3
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    CLIENT_PORT = free.getsockname()[1]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one core each; this process is connected to them."""
    head = NODE | {"include_dashboard": False, "ray_client_server_port": CLIENT_PORT}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**NODE)
    ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def all_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order before every worker has answered: otherwise one may have done all by then."""
    hand_out = ray_crew.Crew._hand_out
    monkeypatch.setattr(ray_crew.Crew, "_hand_out", lambda crew: None if crew._opening else hand_out(crew))


def kill_an_actor() -> None:
    random.Random(time.time_ns()).choice(processes("ray::Actor")).kill()


@pytest.mark.usefixtures("all_at_work")
def test_two_nodes_make_the_same_parts(
    cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []
    report = whyport.run(
        reference_bundle, inputs, tmp_path / "out", on="ray", progress=lambda *rows: seen.append(rows), **OPTIONS
    )
    check_whole(tmp_path / "out", here)
    whyport.audit(tmp_path / "out")
    workers = report.performance.workers
    assert workers is not None
    assert len(workers.orders) == 2
    assert sum(workers.orders.values()) == workers.attempts > 8
    assert workers.lost == ()
    assert seen[0] == (0, FILES * ROWS)
    assert seen[-1] == (FILES * ROWS, FILES * ROWS)
    assert seen == sorted(seen)
    assert any("workers   2, " in line for line in report.performance.workers_lines)
    assert {"read", "explain", "write", "total"} <= report.performance.seconds.keys()
    again = whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)
    assert again.parts == report.parts


def test_every_process_listens_at_this_machine_alone(cluster: Cluster) -> None:
    listening = [
        each.laddr.ip.removeprefix("::ffff:")
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 4
    assert set(listening) == {"127.0.0.1"}


def test_a_client_from_outside(
    cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    command = [COMMAND, "run", reference_bundle, inputs, "--out", tmp_path / "out", *options]
    for _ in range(3):  # Ray gives up its own server for a client that does not start within 30 s, on a busy machine
        done = subprocess.run([*command, "--on", f"ray://127.0.0.1:{CLIENT_PORT}"], capture_output=True, text=True)
        if "Initialization failure" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    check_whole(tmp_path / "out", here)


@pytest.mark.parametrize("fixture", METHODS_OF)
def test_every_method(fixture: str, cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Path = request.getfixturevalue(fixture)
    is_of_pictures = fixture == "image_bundle"
    rows = request.getfixturevalue("image_rows") if is_of_pictures else write_rows(bundle, tmp_path / "rows.parquet")
    for on in ("local", "ray"):
        whyport.run(bundle, rows, tmp_path / on, explain=METHODS_OF[fixture], on=on, **options_of(fixture))
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


@pytest.mark.parametrize("after", moments(KILLS, 1))
def test_a_killed_actor_loses_nothing(
    after: int, cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    report = whyport.run(
        reference_bundle, inputs, tmp_path / "out", on="ray", progress=once(after, kill_an_actor), **OPTIONS
    )
    check_whole(tmp_path / "out", here)
    workers = report.performance.workers
    assert workers is not None
    assert len(workers.lost) <= 1  # an actor that is not missed is not told
    assert sum(workers.orders.values()) >= workers.attempts - 1


@pytest.mark.parametrize("after", moments(KILLS, 2))
def test_a_killed_node_loses_nothing(
    after: int, cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    node = next(each for each in cluster.worker_nodes)
    kill = partial(cluster.remove_node, node, allow_graceful=False)
    try:
        report = whyport.run(
            reference_bundle, inputs, tmp_path / "out", on="ray", progress=once(after, kill), **OPTIONS
        )
    finally:
        cluster.add_node(**NODE)
    check_whole(tmp_path / "out", here)
    assert report.performance.workers is not None


@pytest.mark.parametrize("after", moments(KILLS, 3))
def test_a_killed_driver_leaves_what_any_executor_resumes(
    after: int,
    cluster: Cluster,
    reference_bundle: Path,
    inputs: Path,
    here: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    run_and_kill("run", after, reference_bundle, inputs, out, on="ray", **OPTIONS)
    assert 0 < len(contents(out)) < len(here)
    on = "local" if after % 2 else "ray"
    report = whyport.run(reference_bundle, inputs, out, on=on, **OPTIONS)
    check_whole(out, here)
    assert report.performance.resumed_parts > 0


def test_an_interrupted_run_is_resumed_by_another_executor(
    cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    check_resumed_elsewhere("ray", reference_bundle, inputs, here, tmp_path)


def test_a_shard_on_ray_beside_one_here(
    cluster: Cluster, reference_bundle: Path, inputs: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    share = whyport.run_shard(reference_bundle, inputs, out, "1/2", on="ray", **OPTIONS)
    assert share.performance.workers is not None
    assert any(line.startswith("workers   ") for line in share.lines())
    whyport.run_shard(reference_bundle, inputs, out, "2/2", **OPTIONS)
    whyport.run(reference_bundle, inputs, out, finish_only=True, **OPTIONS)
    check_whole(out, here)


@pytest.mark.usefixtures("all_at_work")
def test_every_order_twice_at_once(
    cluster: Cluster,
    reference_bundle: Path,
    inputs: Path,
    here: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    carry_out = ray_crew.Crew.carry_out

    def twice(crew: ray_crew.Crew, orders: list[Order]) -> Outcomes:
        return carry_out(crew, [order for order in orders for _ in range(2)])

    monkeypatch.setattr(ray_crew.Crew, "carry_out", twice)
    report = whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)
    check_whole(tmp_path / "out", here)
    assert report.performance.workers is not None
    assert report.performance.workers.attempts == 18


@pytest.mark.usefixtures("all_at_work")
def test_another_arithmetic_is_refused_and_named(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    other = cluster.add_node(**NODE, env_vars={"ATEN_CPU_CAPABILITY": "default"})
    try:
        with pytest.raises(JobError, match=r"the last bits of gradient differ here .*, in .*, process \d+$"):
            whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)
        assert not (tmp_path / "out" / "_SUCCESS").exists()
        whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", any_arithmetic=True, **OPTIONS)
    finally:
        cluster.remove_node(other)
    assert len(json.loads((tmp_path / "out" / "_job.json").read_text())["arithmetic"]) == 2


def test_another_version_is_refused_and_named(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_other_versions_refused("ray", reference_bundle, inputs, tmp_path, monkeypatch)


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_a_bad_file_is_told_as_here(
    policy: str, cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    check_bad_file_told("ray", policy, reference_bundle, inputs, tmp_path)


def test_disagreement_is_not_tried_again(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = tmp_path / "tried"

    class Disagreeing(ray_crew.Actor):
        def run(self, order: Order) -> Done:
            with tried.open("a") as file:
                file.write(f"{order.index} {order.spans[0].start}\n")
            return Done(own_name(), error=ParityError("the engines' scores differ"))

    monkeypatch.setattr(ray_crew, "Actor", Disagreeing)
    with pytest.raises(ParityError, match=r"^the engines' scores differ, in .*, process \d+$"):
        whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)
    lines = tried.read_text().splitlines()
    assert len(lines) == len(set(lines)) <= 3


def test_an_order_that_ends_every_worker_is_given_up(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(ray_crew.Actor):
        def run(self, order: Order) -> Done:
            if order.index == 1:
                os._exit(1)
            return super().run(order)

    monkeypatch.setattr(ray_crew, "Actor", Dying)
    monkeypatch.setattr(ray_crew, "ATTEMPTS", 2)
    with pytest.raises(JobError, match=r"^expected a worker to live through part-00001-\d+-\d+.parquet, lost 2 in a"):
        whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)
    assert not list((tmp_path / "out").glob("_workers-*"))


def test_workers_that_never_answer_are_given_up(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stillborn(ray_crew.Actor):
        def open(self, *_: object) -> str:
            os._exit(1)

    monkeypatch.setattr(ray_crew, "Actor", Stillborn)
    monkeypatch.setattr(ray_crew, "UNANSWERED", 3)
    with pytest.raises(JobError, match="^expected workers on the cluster, lost 3 in a row before they answered: "):
        whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", **OPTIONS)


def test_a_cluster_without_room_is_refused(
    cluster: Cluster, reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    with pytest.raises(whyport.UsageError, match=r"^threads: expected a cluster with this many cores, 9, got"):
        whyport.run(reference_bundle, inputs, tmp_path / "out", on="ray", threads=9, **OPTIONS)


def test_the_command_starts_a_cluster_and_ends_with_a_part_at_ctrl_c(
    reference_bundle: Path, inputs: Path, tmp_path: Path
) -> None:
    out, small = tmp_path / "out", OPTIONS | {"part_rows": 6, "batch_rows": 6}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in small.items()]
    command = [COMMAND, "run", reference_bundle, inputs, "--out", out, *options, "--on", "ray", "--workers", "2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True) as run:
        while len(list(out.glob("part-*"))) < 3:
            assert run.poll() is None
            time.sleep(0.01)
        below = psutil.Process(run.pid).children(recursive=True)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, told = run.communicate()
    assert run.returncode == 130, told
    assert "error: stopped after a whole part (SIGINT): the same command resumes" in told
    assert len(contents(out)) >= 3
    assert not (out / "_SUCCESS").exists()
    assert {path.name for path in out.iterdir() if not path.name.startswith("part-")} <= {"_job.json", "_rejected"}
    psutil.wait_procs(below, timeout=20)
    assert not [process for process in below if process.is_running()]
    for folder in (out, tmp_path / "whole"):
        whyport.run(reference_bundle, inputs, folder, **small)
    check_whole(out, contents(tmp_path / "whole"))


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(*_: object, **__: object) -> None:
        raise ConnectionError("no answer\nfrom there")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    expected = "^expected a Ray cluster at 'ray://127.0.0.1:1', got no answer from there$"
    with pytest.raises(JobError, match=expected), connected("ray://127.0.0.1:1"):
        pass


def test_a_run_here_does_not_import_ray(reference_bundle: Path, inputs: Path, tmp_path: Path) -> None:
    program = "import sys, whyport; whyport.run(*sys.argv[1:4]); print({'ray', 'pyspark'} & {*sys.modules})"
    command = [sys.executable, "-c", program, reference_bundle, inputs, tmp_path / "out"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_page_s_command(reference_bundle: Path, inputs: Path, tmp_path: Path) -> None:
    (command,) = [each for each in blocks(ROOT / "docs" / "engines.md", "") if "--on ray --workers" in each]
    (tmp_path / "bundle").symlink_to(reference_bundle)
    (tmp_path / "data").symlink_to(inputs)
    path = os.pathsep.join([str(COMMAND.parent), os.environ["PATH"]])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"PATH": path}
    subprocess.run(["bash", "-euc", command], cwd=tmp_path, env=environment, check=True)
    whyport.audit(tmp_path / "scored")
