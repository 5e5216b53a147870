"""Sections that describe training jobs: the model, how it is spread, and how well the software runs it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, ModelWrapValidatorHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from simulator.scenario import presets
from simulator.scenario.quantities import DataSize, Fraction, Seconds, Section, refusal
from simulator.workload.plans import Recompute, Sharding

Size = Annotated[int, Field(ge=1, le=10_000_000)]


class ModelSection(Section):
    """A decoder-only transformer: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    layers: Size
    """Layers."""
    hidden: Size
    """Width."""
    heads: Size
    """Attention heads."""
    kv_heads: Size | None = None
    """Heads of keys and values; absent: as many as heads."""
    ffn: Size | None = None
    """Inner width of the feed-forward network, of one expert; absent: four times hidden."""
    gated: bool = False
    """Whether the feed-forward network has three matrices instead of two."""
    experts: Size = 1
    """Experts of each layer."""
    top_k: Size = 1
    """Experts a token visits."""
    vocabulary: Size
    """Vocabulary."""
    tied: bool = True
    """Whether input and output embedding are one matrix."""
    sequence: Size
    """Tokens of a sequence."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[ModelSection]) -> ModelSection:
        if isinstance(value, str):
            found = presets.named("models", value)
            return handler({"name": found.name, **found.body(without=("facts",))})
        presets.refuse_own("models", value)
        return handler(value)

    @model_validator(mode="after")
    def _divides(self) -> ModelSection:
        if self.hidden % self.heads or self.heads % (self.kv_heads or self.heads):
            raise refusal("heads must divide hidden, and kv_heads the heads", f"{self.hidden}, {self.heads}")
        if self.top_k > self.experts:
            raise refusal("a token cannot visit more experts than there are", self.top_k, f"at most {self.experts}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("models")}, handler(schema)]}


class EfficiencySection(Section):
    """What a software stack makes of a GPU: a preset by name, or a mapping."""

    name: str = "inline"
    """Name for reports."""
    gpu: str | None = None
    """GPUs it holds for, as the model of the node type begins; absent: any."""
    precision: Literal["bf16", "fp8"] = "bf16"
    """Precision of the matrices, for the GPU's peak."""
    matmul: Annotated[float, Field(gt=0, le=1)]
    """Share of the peak that large matrix products reach."""
    half_width: Annotated[float, Field(ge=0)] = 0.0
    """Width (hidden / tp) at which a product reaches half of that."""
    attention: Annotated[float, Field(gt=0, le=2)]
    """Share of the peak that attention reaches, masked FLOPs counted: above 1 only if they are skipped."""
    elementwise: Annotated[float, Field(ge=0)] = 0.0
    """Bytes moved per token, layer and unit of width in a forward pass, besides matrix products."""
    layer: Seconds = 0.0
    """Overhead of one layer in one forward pass."""
    overlap: Fraction = 0.0
    """Share of the compute behind which data-parallel communication can hide."""
    tp_overlap: Fraction = 0.0
    """Share of tensor-parallel communication that hides."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_preset(cls, value: Any, handler: ModelWrapValidatorHandler[EfficiencySection]) -> EfficiencySection:
        if isinstance(value, str):
            found = presets.named("efficiencies", value)
            return handler({"name": found.name, **found.body(without=("facts",))})
        presets.refuse_own("efficiencies", value)
        return handler(value)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow a preset's name besides the mapping."""
        return {"anyOf": [{"type": "string", "enum": presets.names("efficiencies")}, handler(schema)]}


class TrainingSection(Section):
    """What a training job does in a step; its speed follows from its placement and the state of the fabric."""

    model: ModelSection
    """The model: a preset name such as llama3_405b, or a mapping."""
    efficiency: EfficiencySection
    """How well the software runs it: a preset name such as h100_bf16_megatron, or a mapping."""
    global_batch: Size
    """Sequences of a step."""
    micro_batch: Size = 1
    """Sequences of one forward pass."""
    tp: Size = 1
    """Tensor-parallel ranks."""
    cp: Size = 1
    """Context-parallel ranks."""
    pp: Size = 1
    """Pipeline stages."""
    ep: Size = 1
    """Expert-parallel ranks, inside the data-parallel ones."""
    interleave: Size = 1
    """Model chunks on each stage."""
    sharding: Sharding = "optimiser"
    """What data-parallel ranks share out: none, optimiser (ZeRO-1), or full (FSDP)."""
    recompute: Recompute = "none"
    """Activations computed again in the backward pass."""
    sequence_parallel: bool = True
    """Whether activations between the tensor-parallel parts are split too."""
    fused_attention: bool = True
    """Whether the scores of attention are never stored."""
    memory_check: bool = True
    """Whether a plan is refused that counts more than 1.5 times the memory of a GPU."""
    jitter: Fraction = 0.0
    """Standard deviation of a rank's compute time relative to its mean; the slowest rank counts."""
    sample: DataSize | None = None
    """Read from cluster.storage for each sequence, ahead of the step; absent: reading data costs nothing."""
    steps: Size | None = None
    """Steps until it is done, instead of work."""
