"""One rule for each operator; importing this package registers them all."""

from whyport.exporter.deepshap.rules import (  # noqa: F401
    chain,
    choice,
    division,
    elementwise,
    gru,
    linear,
    lstm,
    maximum,
    norm,
    placing,
    product,
    rnn,
    separable,
    shape,
    softmax,
)
