"""Transformers as planners describe them: parameters, FLOPs and bytes from the sizes of the architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transformer:
    """A decoder-only transformer.

    Parameters
    ----------
    name : str
        For reports.
    layers, hidden, heads, sequence, vocabulary : int
        Sizes; ``sequence`` is the training length in tokens.
    kv_heads : int
        Heads of keys and values; fewer than ``heads`` for grouped-query attention.
    ffn : int
        Inner width of the feed-forward network, of one expert where there are several.
    gated : bool
        Whether the feed-forward network has three matrices (SwiGLU) instead of two.
    experts, top_k : int
        Experts in each layer and how many a token visits; 1 and 1 for a dense model.
    tied : bool
        Whether input and output embedding are one matrix.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    sequence: int
    vocabulary: int
    kv_heads: int
    ffn: int
    gated: bool = False
    experts: int = 1
    top_k: int = 1
    tied: bool = True

    @property
    def attention_parameters(self) -> int:
        """Parameters of the attention of one layer: query, output, keys and values."""
        return 2 * self.hidden**2 + 2 * self.hidden * (self.hidden * self.kv_heads // self.heads)

    @property
    def expert_parameters(self) -> int:
        """Parameters of one feed-forward network."""
        return (3 if self.gated else 2) * self.hidden * self.ffn

    @property
    def embedding_parameters(self) -> int:
        """Parameters of the embeddings."""
        return (1 if self.tied else 2) * self.vocabulary * self.hidden

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer; norms and biases, below 0.1 % of it, are left out."""
        router = self.hidden * self.experts if self.experts > 1 else 0
        return self.attention_parameters + self.experts * self.expert_parameters + router

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.layer_parameters + self.embedding_parameters

    @property
    def active_parameters(self) -> int:
        """Parameters that one token meets, embeddings included."""
        idle = (self.experts - self.top_k) * self.expert_parameters
        return self.parameters - self.layers * idle

    @property
    def matmul_flops(self) -> float:
        """Forward FLOPs of the matrices of one layer for one token: 2 for each parameter it meets."""
        return 2.0 * (self.attention_parameters + self.top_k * self.expert_parameters)

    @property
    def attention_flops(self) -> float:
        """Forward FLOPs of scores and weighted sums of one layer for one token, without use of the causal mask."""
        return 4.0 * self.sequence * self.hidden

    @property
    def logit_flops(self) -> float:
        """Forward FLOPs of the output layer for one token."""
        return 2.0 * self.hidden * self.vocabulary

    def model_flops(self, causal: bool = False) -> float:
        """Return the FLOPs of one token, forward and backward, without recomputation.

        Three times the forward FLOPs (Narayanan et al., SC 2021, appendix): 6 for each parameter that multiplies, plus
        attention, of which a causal mask leaves half.
        """
        attention = self.attention_flops * (0.5 if causal else 1.0)
        return 3.0 * (self.layers * (self.matmul_flops + attention) + self.logit_flops)
