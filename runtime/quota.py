"""The quota of this process's container: how many cores its control groups let it use at once."""

import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path("/")
"""Where /proc and the mounted control groups are."""


OCTAL = re.compile(r"\\([0-7]{3})")
"""A blank, say, in the names that mountinfo gives."""


@cache
def core_quota(root: Path = ROOT) -> float:
    """The smallest quota of the process's control groups (version 1 or 2) and of all groups above them, in cores.

    Infinity where there is none, or none that can be seen. It is looked up once. See man 7 cgroups.
    """
    return min((quota for folder in _groups(root) for quota in _quotas(folder)), default=math.inf)


def _quotas(folder: Path) -> Iterator[float]:
    """The quotas of one group, in cores: microseconds of a period, by the period's microseconds."""
    version_2 = _text(folder / "cpu.max").split()
    version_1 = [_text(folder / name).strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    for numbers in (version_2, version_1):
        # Without a quota, it is "max" or -1.
        if len(numbers) == 2 and all(each.isdecimal() for each in numbers) and int(numbers[1]) > 0:
            yield int(numbers[0]) / int(numbers[1])


def _groups(root: Path) -> Iterator[Path]:
    """The folders of this process's groups, and of all groups above them."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for mounted, top in _mounts(root, controllers):
            # Without a namespace of its own, a container sees its group's whole path, but has mounted only its end.
            inside = PurePosixPath(group)
            inside = inside.relative_to(top) if inside.is_relative_to(top) else PurePosixPath()
            for each in (inside, *inside.parents):
                yield mounted / str(each).lstrip("/")


def _mounts(root: Path, controllers: str) -> Iterator[tuple[Path, PurePosixPath]]:
    """Where the groups of some controllers are mounted, and which group is at the top there; "" is version 2."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        is_version_2 = kind[0] == "cgroup2" and not controllers
        is_version_1 = kind[0] == "cgroup" and "cpu" in controllers.split(",") and "cpu" in kind[2].split(",")
        if is_version_2 or is_version_1:
            top, place = (OCTAL.sub(lambda match: chr(int(match[1], 8)), each) for each in fields[3:5])
            yield root / place.lstrip("/"), PurePosixPath(top)


def _text(path: Path) -> str:
    """A file's text; empty where it cannot be read."""
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
