"""Networks of the sweep: wrappers."""

from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case, layer

CASES = {
    "nn.Dropout(eval)": layer(lambda: nn.Dropout(0.5)),
    "nn.AlphaDropout(eval)": layer(lambda: nn.AlphaDropout(0.5)),
    "nn.FeatureAlphaDropout(eval)": layer(lambda: nn.FeatureAlphaDropout(0.5), (2, 4)),
    "nn.Identity": layer(nn.Identity),
    "nn.Flatten/Unflatten": layer(lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Flatten())),
    "weight_norm": layer(lambda: nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))),
    "old weight_norm": layer(lambda: nn.utils.weight_norm(nn.Linear(8, 4))),
    "spectral_norm": layer(lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(8, 4))),
    "old spectral_norm": layer(lambda: nn.utils.spectral_norm(nn.Linear(8, 4))),
    "orthogonal": layer(lambda: nn.utils.parametrizations.orthogonal(nn.Linear(8, 4))),
    "F.dropout(default training)": Case(lambda x: F.dropout(x, 0.5), refusal="aten.native_dropout.default"),
}
