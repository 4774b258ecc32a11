"""The container's quota, in folders as the kernel shows them."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from whyport.runtime import providers
from whyport.runtime.quota import core_quota

V2 = "30 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
NOT_CPU = "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"


def v1(quota: int, period: int = 100_000) -> dict[str, str]:
    return {"cpu.cfs_quota_us": f"{quota}\n", "cpu.cfs_period_us": f"{period}\n"}


def v2(text: str) -> dict[str, str]:
    return {"cpu.max": f"{text}\n"}


def machine(root: Path, cgroup: str, mounts: str, folders: Mapping[str, Mapping[str, str]]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    (root / "proc/self/mountinfo").write_text(mounts)
    for folder, files in folders.items():
        place = root / "sys/fs/cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(text)
    return root


CASES = {
    "no groups": ("", "", {}, math.inf),
    "version 2, no quota": ("0::/\n", V2.format(top="/"), {"": v2("max 100000")}, math.inf),
    "version 2": ("0::/\n", V2.format(top="/"), {"": v2("200000 100000")}, 2),
    "version 2, another period": ("0::/\n", V2.format(top="/"), {"": v2("75000 50000")}, 1.5),
    "version 2, a group": ("0::/a/b\n", V2.format(top="/"), {"a/b": v2("300000 100000")}, 3),
    "version 2, above": (
        "0::/a/b/c\n",
        V2.format(top="/"),
        {"a": v2("150000 100000"), "a/b": v2("max 100000"), "a/b/c": v2("400000 100000")},
        1.5,
    ),
    "version 2, the group itself is mounted": (
        "0::/docker/x/a\n",
        V2.format(top="/docker/x"),
        {"": v2("500000 100000"), "a": v2("400000 100000"), "docker/x/a": v2("100000 100000")},
        4,
    ),
    "version 2, another group is mounted": ("0::/../y\n", V2.format(top="/x"), {"": v2("200000 100000")}, 2),
    "version 1, no quota": ("3:cpu,cpuacct:/\n", V1.format(top="/"), {"cpu,cpuacct": v1(-1)}, math.inf),
    "version 1": ("3:cpu,cpuacct:/\n", V1.format(top="/"), {"cpu,cpuacct": v1(250_000)}, 2.5),
    "version 1, docker": (
        "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
        V1.format(top="/docker/x"),
        {"cpu,cpuacct": v1(100_000)},
        1,
    ),
    "version 1, above": (
        "3:cpuacct,cpu:/a/b\n",
        V1.format(top="/"),
        {"cpu,cpuacct/a": v1(50_000), "cpu,cpuacct/a/b": v1(-1)},
        0.5,
    ),
    "another controller's folder": ("3:cpuset:/\n", NOT_CPU, {"cpuset": v1(100_000)}, math.inf),
    "both versions": (
        "1:cpu,cpuacct:/a\n0::/a\n",
        V1.format(top="/") + V2.format(top="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
        {"cpu,cpuacct/a": v1(300_000), "unified/a": v2("max 100000")},
        3,
    ),
    "a blank in the name": (
        "0::/\n",
        V2.format(top="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040own"),
        {"my own": v2("200000 100000")},
        2,
    ),
    "nonsense": ("0::\n::\nx\n", "1 2 - \n" + V2.format(top="/"), {"": v2("many 0")}, math.inf),
    "a period of nothing": ("0::/\n", V2.format(top="/"), {"": v2("100000 0")}, math.inf),
}


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_quota_of_all_groups_holds(tmp_path: Path, case: str) -> None:
    cgroup, mounts, folders, expected = CASES[case]
    assert core_quota(machine(tmp_path, cgroup, mounts, folders)) == expected


def test_a_system_without_groups_has_no_quota(tmp_path: Path) -> None:
    assert core_quota(tmp_path) == math.inf


@pytest.mark.parametrize(
    ("mask", "quota", "expected"), [(8, math.inf, 8), (8, 2, 2), (8, 2.5, 3), (8, 0.1, 1), (2, 6, 2), (1, 0.5, 1)]
)
def test_the_cores_are_within_mask_and_quota(
    monkeypatch: pytest.MonkeyPatch, mask: int, quota: float, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(mask)), raising=False)
    monkeypatch.setattr(providers, "core_quota", lambda: quota)
    assert providers.available_cores() == expected
