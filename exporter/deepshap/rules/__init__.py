"""One rule for each operator; importing this package registers them all."""

from whyport.exporter.deepshap.rules import (  # noqa: F401
    chain,
    choice,
    circular,
    division,
    elementwise,
    embedding,
    gru,
    linear,
    lstm,
    maximum,
    norm,
    placing,
    powers,
    product,
    remainder,
    rnn,
    separable,
    shape,
    softmax,
    step,
)
