"""How far two engines may differ in every bundle that is made here."""

from collections.abc import Mapping

Tolerances = Mapping[str, float]
"""The largest deviation allowed, by what is compared; see `Sidecar.tolerances`."""

Parity = dict[str, float]
"""The largest deviation measured, in the same terms."""

TOLERANCES: Tolerances = {"outputs": 1e-4, "gradients": 1e-4, "attributions": 1e-4, "completeness": 1e-4}
