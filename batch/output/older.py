"""The settings of older runs, in the terms of the newest."""

from typing import Any

from whyport.batch.methods.per import CELL
from whyport.batch.methods.positions import SUM


def newest_settings(settings: Any) -> Any:
    """The settings in _job.json or in a part's footer; what is no settings stays as it is."""
    if not isinstance(settings, dict):
        return settings
    renamed = {"explain_target" if name == "explain_class" else name: value for name, value in settings.items()}
    return {"on_unseen": "score", "per": CELL, "reduction": SUM, "reasons": None, "variant": None} | renamed
