"""Schedulers that the recipes of docs/shards.md are run by; scripts/schedulers fetches them."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "schedulers"
DEBIAN = FOLDER / "debian"
"""Debian's packages, unpacked."""
REQUIRED = "WHYPORT_SCHEDULERS"
"""The variable that, set to "required", makes a missing scheduler a failure."""
START_SECONDS = 60
JOBS_SECONDS = 300

SLURM = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={home}/socket
CredType=cred/munge
PluginDir={plugins}
StateSaveLocation={home}/state
SlurmdSpoolDir={home}/spool
SlurmctldPidFile={home}/controller.pid
SlurmdPidFile={home}/node.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8
PartitionName=all Nodes=ALL Default=YES
"""
"""A controller and a node of eight processors, on the loopback."""


def parallel(home: Path) -> dict[str, str]:
    """The variables by which commands find GNU parallel, which keeps its own files in `home`."""
    unpacked = DEBIAN / "usr" / "bin" / "parallel"
    return {
        "PATH": _path(unpacked if unpacked.exists() else shutil.which("parallel"), "GNU parallel"),
        "HOME": str(home),
    }


def airflow(home: Path) -> dict[str, str]:
    """The variables by which commands find Airflow, which keeps its own files in `home`."""
    path = _path(FOLDER / ".venv" / "bin" / "airflow", "Airflow")
    return {"PATH": path, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}


@contextmanager
def slurm(home: Path) -> Iterator[dict[str, str]]:
    """The variables by which commands find a Slurm, which runs in a new folder until its jobs have ended."""
    path = _path(DEBIAN / "usr" / "bin" / "sbatch", "Slurm")
    home.mkdir(mode=0o700)
    for name in ("state", "spool"):
        (home / name).mkdir()
    (plugins,) = DEBIAN.glob("usr/lib/*/slurm-wlm")
    host, ports = socket.gethostname().split(".")[0], _free_ports(2)
    user = pwd.getpwuid(os.getuid()).pw_name
    (home / "slurm.conf").write_text(SLURM.format(host=host, ports=ports, user=user, home=home, plugins=plugins))
    (home / "key").touch(0o600)
    (home / "key").write_bytes(secrets.token_bytes(64))
    libraries = f"{plugins.parent}:{plugins}"
    variables = {"LD_LIBRARY_PATH": libraries, "SLURM_CONF": str(home / "slurm.conf"), "PATH": path}
    programs = DEBIAN / "usr" / "sbin"
    files = ("key-file=key", "socket=socket", "pid-file=munge.pid", "seed-file=seed", "log-file=munge.log")
    options = [f"--{name}={home / file}" for name, file in (each.split("=") for each in files)]
    with ExitStack() as daemons:
        for command in (
            # Forced, since its socket's folder is one that nobody else may enter.
            [programs / "munged", "--foreground", "--force", *options],
            [programs / "slurmctld-wlm", "-D"],
            [programs / "slurmd-wlm", "-D", "-N", host, "-d", programs / "slurmstepd-wlm"],
        ):
            daemons.enter_context(_daemon(command, home / f"{command[0].name}.txt", variables))
        _wait("sinfo --noheader --states=idle", variables, START_SECONDS, until_any=True)
        yield variables
        _wait("squeue --noheader", variables, JOBS_SECONDS, until_any=False)


def _path(program: str | Path | None, name: str) -> str:
    """The PATH by which a program is found; skips the test where there is none."""
    if program is not None and Path(program).exists():
        return os.pathsep.join([str(Path(program).parent), os.environ["PATH"]])
    message = f"no {name}: scripts/schedulers fetches it"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(message)
    pytest.skip(message)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _daemon(command: Sequence[str | Path], log: Path, variables: Mapping[str, str]) -> Iterator[None]:
    with (
        log.open("wb") as out,
        subprocess.Popen(command, env=os.environ | variables, stdout=out, stderr=subprocess.STDOUT) as running,
    ):
        try:
            yield
        finally:
            running.terminate()


def _wait(command: str, variables: Mapping[str, str], seconds: float, *, until_any: bool) -> None:
    """Wait until a command prints something, or no longer does."""
    name, *options = command.split()
    program, end = DEBIAN / "usr" / "bin" / name, time.monotonic() + seconds
    while True:
        done = subprocess.run([program, *options], env=os.environ | variables, capture_output=True, text=True)
        if not done.returncode and bool(done.stdout.strip()) == until_any:
            return
        assert time.monotonic() < end, f"{command}: {done.stdout}{done.stderr}"
        time.sleep(0.5)
