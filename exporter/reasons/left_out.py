"""What a bundle is made without, and why: no part that gives reasons is worth a bundle."""

import logging

from whyport.exporter.graphs.graph import capability
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.errors import WhyportError, first_line

logger = logging.getLogger(__name__)


def left_out(name: str, error: Exception) -> Capability:
    """The capability `name` with the error as the reason why it is missing; a warning says so."""
    reason = str(error) if isinstance(error, WhyportError) else first_line(error)
    logger.warning("the bundle will not serve %s: %s", name, reason)
    return capability(reason)
