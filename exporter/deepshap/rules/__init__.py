"""One rule for each operator; importing this package registers them all."""

from whyport.exporter.deepshap.rules import (  # noqa: F401
    choice,
    elementwise,
    linear,
    lstm,
    maximum,
    product,
    recurrent,
    shape,
    softmax,
)
