"""One rule for each operator; importing this package registers them all."""

from whyport.exporter.deepshap.rules import (  # noqa: F401
    chain,
    choice,
    division,
    elementwise,
    linear,
    lstm,
    maximum,
    norm,
    placing,
    product,
    recurrent,
    separable,
    shape,
    softmax,
)
