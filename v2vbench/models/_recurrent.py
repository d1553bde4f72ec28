"""Convolutional recurrent cells that predictors share."""

import torch
from torch import nn

State = tuple[torch.Tensor, torch.Tensor]  # hidden state h and cell c, (B, n_hidden, H, W) each


class ConvLSTMCell(nn.Module):
    """Convolutional LSTM (Shi et al. 2015, eq. 3) without the peepholes, as later models use it.

    The state is zero at first. Input and state pass through one convolution, whose outputs are the input gate, the
    forget gate, the output gate and the candidate, n_hidden channels each.

    forget_bias    added to the forget gate, so that an untrained cell remembers; 0 in Shi et al.
    """

    def __init__(self, n_in: int, n_hidden: int, kernel: int, *, bias: bool = True, forget_bias: float = 0.0):
        super().__init__()
        self.n_hidden, self.forget_bias = n_hidden, forget_bias
        self.gates = nn.Conv2d(n_in + n_hidden, 4 * n_hidden, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """x (B, n_in, H, W) and the state before it to h (B, n_hidden, H, W) and the new state."""
        if state is None:
            zeros = x.new_zeros(x.shape[0], self.n_hidden, *x.shape[-2:])
            state = zeros, zeros
        h, c = state
        enter, forget, leave, candidate = self.gates(torch.cat([x, h], 1)).chunk(4, 1)
        c = (forget + self.forget_bias).sigmoid() * c + enter.sigmoid() * candidate.tanh()
        h = leave.sigmoid() * c.tanh()
        return h, (h, c)
