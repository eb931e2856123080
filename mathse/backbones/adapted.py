"""peft's 4-bit layer with a LoRA adapter, trained without the copies that peft makes of every activation.

peft multiplies the adapter's whole output by its scale, adds it, and, on a CPU, takes the input to float32 for autocast to take
it back. The same numbers come out of scaling the small matrix B and adding within the last product. Measured in
experiments/LOG.md.
"""

from __future__ import annotations

from typing import Any

import bitsandbytes as bnb
import peft
import torch
from peft.tuners.lora import Linear4bit
from torch import Tensor


class Adapted4bit(Linear4bit):
    """`W x + scale B A dropout(x)` for an input (…, I) under autocast -> (…, O); whatever else is asked is done by peft."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        named = [name for name in self.active_adapters if name in self.lora_A and name not in self.lora_variant]
        plain = not (args or kwargs or self.disable_adapters or self.merged)
        if not plain or len(named) != len(self.active_adapters) or not torch.is_autocast_enabled(x.device.type):
            return super().forward(x, *args, **kwargs)
        result = self.base_layer(x)
        shape = result.shape
        for name in named:
            low = self.lora_A[name](self.lora_dropout[name](x)).flatten(0, -2)
            scaled = self.lora_B[name].weight * self.scaling[name]
            result = torch.addmm(result.flatten(0, -2), low, scaled.T)
        return result.view(shape)


def adapted(config: peft.LoraConfig) -> peft.LoraConfig:
    """The config, told to make `Adapted4bit` of 4-bit layers. That choice is not saved with the adapter."""
    config._register_custom_module({bnb.nn.Linear4bit: Adapted4bit})
    return config
