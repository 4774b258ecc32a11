"""The differences between two jobs: why a run cannot go on in a folder, in a line for each thing that differs."""

import json
from collections.abc import Mapping
from typing import Any

from whyport.runtime.errors import UsageError, listing
from whyport.runtime.store.path import Place

# Keys that no job differs by: places, which the digests identify, and the arithmetic, which has a rule of its own.
INFORMATIVE = ("path", "arithmetic")

MAX_LINES = 12
MAX_INPUTS = 5

NOTHING = object()


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """The differences between two jobs' documents, one line each; empty if they give the same output.

    All inputs share one line, which says how many have changed, and of the first few what.
    """
    old, new = _settings(there), _settings(here)
    lines = [
        f"{key}: {_shown(old.get(key, NOTHING))} there, {_shown(new.get(key, NOTHING))} here"
        for key in dict.fromkeys([*old, *new])
        if old.get(key, NOTHING) != new.get(key, NOTHING)
    ]
    return [*lines, *_changed_inputs(_inputs(there), _inputs(here))]


def refusal(path: Place, found: Mapping[str, Any], changed: list[str]) -> UsageError:
    """The error for a folder that holds another job.

    Args:
        path: the folder.
        found: the document of its job; empty while a job is being replaced.
        changed: the differences.
    """
    if not found:
        return UsageError(f"{str(path)!r} holds a run that was being replaced; --overwrite goes on with that")
    more = [f"and {len(changed) - MAX_LINES} more"] if len(changed) > MAX_LINES else []
    message = f"{str(path)!r} holds another job; --overwrite replaces it, or choose another folder"
    return UsageError(message).with_details([*changed[:MAX_LINES], *more])


def _settings(document: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Every value but the inputs', by its path in the document."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if key in INFORMATIVE or (key == "inputs" and isinstance(value, list)):
            continue
        found |= _settings(value, f"{place}{key}.") if isinstance(value, dict) else {f"{place}{key}": value}
    return found


def _inputs(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The identity of each input, by its name, in order."""
    listed = document.get("inputs", [])
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    return {
        str(entry.get("source_file")): {key: value for key, value in entry.items() if key not in INFORMATIVE}
        for entry in entries
    }


def _changed_inputs(old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> list[str]:
    every = list(dict.fromkeys([*old, *new]))
    changed = {name: what for name in every if (what := _change(old.get(name), new.get(name)))}
    if changed:
        shown = [f"{name!r} ({what})" for name, what in list(changed.items())[:MAX_INPUTS]]
        more = f" and {len(changed) - MAX_INPUTS} more" if len(changed) > MAX_INPUTS else ""
        count = f"{len(changed)} of {len(every)} inputs {'has' if len(changed) == 1 else 'have'} changed"
        return [f"{count}: {', '.join(shown)}{more}"]
    if list(old) != list(new):
        return [f"the inputs are in another order: {listing(old, MAX_INPUTS)} there, {listing(new, MAX_INPUTS)} here"]
    return []


def _change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> str:
    """The change of an input, in its most telling figure; empty where there is none."""
    if old is None or new is None:
        return "added" if old is None else "gone"
    for key, name in (("rows", "rows"), ("size", "bytes")):
        if old.get(key) != new.get(key):
            return f"{_shown(old.get(key))} {name} there, {_shown(new.get(key))} here"
    if old.get("footer_sha256") != new.get("footer_sha256"):
        return "another footer"
    return "" if old == new else "modified at another time"


def _shown(value: Any) -> str:
    return "nothing" if value is NOTHING else json.dumps(value, ensure_ascii=False)
