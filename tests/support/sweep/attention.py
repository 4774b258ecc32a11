"""Networks of the sweep: attention."""

import torch
from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case, layer

CASES = {
    "nn.MultiheadAttention": Case(
        lambda net, x: net.layer(x, x, x)[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 2, batch_first=True)},
    ),
    "nn.MHA(no weights)": Case(
        lambda net, x: net.layer(x, x, x, need_weights=False)[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 1, batch_first=True)},
    ),
    "nn.MHA(causal)": Case(
        lambda net, x: net.layer(x, x, x, attn_mask=torch.triu(torch.ones(4, 4, dtype=torch.bool), 1))[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 1, batch_first=True)},
    ),
    "nn.MHA(bias_kv,zero_attn)": Case(
        lambda net, x: net.layer(x, x, x)[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 1, batch_first=True, add_bias_kv=True, add_zero_attn=True)},
    ),
    "nn.MHA(key_padding const)": Case(
        lambda net, x: net.layer(
            x, x, x, key_padding_mask=torch.tensor([[False, False, False, True]]).expand(x.shape[0], 4)
        )[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 1, batch_first=True)},
    ),
    "nn.MHA(key_padding from x)": Case(
        lambda net, x: net.layer(x, x, x, key_padding_mask=x[..., 0] > 2)[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.MultiheadAttention(2, 1, batch_first=True)},
    ),
    "SDPA": Case(lambda x: F.scaled_dot_product_attention(x, x, x), shape=(1, 4, 2)),
    "SDPA causal": Case(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), shape=(1, 4, 2)),
    "SDPA float mask": Case(
        lambda net, x: F.scaled_dot_product_attention(x, x, x, attn_mask=net.b),
        shape=(1, 4, 2),
        parts=lambda: {"b": nn.Parameter(torch.randn(4, 4))},
    ),
    "SDPA fully masked row": Case(
        lambda x: F.scaled_dot_product_attention(
            x, x, x, attn_mask=torch.tensor([[True] * 4] * 3 + [[False] * 4])
        ).nan_to_num(0.0),
        shape=(1, 4, 2),
        refusal="aten.nan_to_num.default",
    ),
    "SDPA gqa": Case(
        lambda x: F.scaled_dot_product_attention(torch.cat([x, x], 1), x, x, enable_gqa=True), shape=(1, 4, 2)
    ),
    "nn.TransformerEncoderLayer": layer(lambda: nn.TransformerEncoderLayer(2, 1, 4, batch_first=True), (4, 2)),
    "TransformerEncoder(gelu,norm_first,2)": Case(
        lambda net, x: net.layer(x),
        shape=(4, 2),
        parts=lambda: {
            "layer": nn.TransformerEncoder(
                nn.TransformerEncoderLayer(2, 1, 4, batch_first=True, norm_first=True, activation="gelu"),
                2,
                enable_nested_tensor=False,
            )
        },
    ),
    "nn.TransformerDecoderLayer": Case(
        lambda net, x: net.layer(x, x),
        shape=(4, 2),
        parts=lambda: {"layer": nn.TransformerDecoderLayer(2, 1, 4, batch_first=True)},
    ),
    "nn.Transformer": Case(
        lambda net, x: net.layer(x, x),
        shape=(4, 2),
        parts=lambda: {"layer": nn.Transformer(2, 1, 1, 1, 4, batch_first=True)},
    ),
    "Transformer(encoder nested)": layer(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 2, 4, batch_first=True), 1), (4, 2)
    ),
}
