"""How far two engines may differ in every bundle that is made here."""

from whyport.runtime.bundle.sidecar import Tolerances

TOLERANCES = Tolerances(outputs=1e-4, gradients=1e-4, attributions=1e-4, completeness=1e-4)
