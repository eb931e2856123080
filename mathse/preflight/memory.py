"""The models that a run fine-tunes and asks, and the memory that each of them needs, by arithmetic from config.json alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mathse.backbones import Backbone
from mathse.backbones.loading import Shape, check_device
from mathse.backbones.qlora import Lora
from mathse.feedback.orm import Orm
from mathse.fit import Fit
from mathse.store import Runtime

if TYPE_CHECKING:
    from mathse.config import Experiment

GIB = 2**30
NF4 = 0.516  # bytes a parameter: 4 bits, and the twice quantised scale of each block of 64
QUESTION = 512  # tokens that a prompt is taken to have beside its picture
FEATURES = 256 * 2**20  # the cache of picture features
TOGETHER = 64  # prompts and pictures that generation reads at once

Bytes = dict[str, float]


@dataclass(frozen=True)
class Job:
    """One model that a run fine-tunes and then asks; `field` and `fit_field` are what a user calls its settings."""

    name: str
    field: str
    fit_field: str
    member: Backbone
    fit: Fit
    lora: Lora
    max_new_tokens: int


def jobs(exp: Experiment) -> list[Job]:
    """The student; the ORM where one is asked, and whose mistakes it learns from, where that is another backbone."""
    new = max(exp.sampling.max_new_tokens, exp.decoding.max_new_tokens)
    found = [Job("student", "backbone", "fit", exp.backbone, exp.fit, exp.lora, new)]
    for source in (exp.judge, exp.feedback):
        if isinstance(source, Orm) and len(found) == 1:
            field = "backbone" if source.backbone == exp.backbone else "orm.backbone"
            found.append(Job("ORM", field, "orm.fit", source.backbone, source.fit, source.lora, source.max_new_tokens))
            for name, student in source.data.students.items():
                if student.backbone != exp.backbone:
                    place, new = f"orm.data.students.{name}", source.data.drafts.max_new_tokens
                    who = f"the ORM's student {name}"
                    found.append(
                        Job(who, f"{place}.backbone", f"{place}.fit", student.backbone, student.fit, student.lora, new)
                    )
    return found


def weights(shape: Shape, runtime: Runtime, *, training: bool) -> float:
    """Bytes of the weights, as `loading.load` holds them for training or for generation."""
    plain = 2 if training or runtime.device != "cpu" else 4
    quantized = plain if runtime.unfold and not training else NF4
    return quantized * shape.quantized + plain * (sum(shape.parameters.values()) - shape.quantized)


def fine_tuning(shape: Shape, job: Job, runtime: Runtime) -> Bytes:
    """Bytes that a fine-tuning step needs. What a layer keeps for the way back was measured (experiments/LOG.md)."""
    adapter = 4.0 * job.lora.rank * shape.lora
    rows, length = job.fit.micro_batch_size, job.member.max_length
    kept = 18 * shape.hidden + 8 * shape.intermediate  # bytes a token and layer
    if job.lora.dropout:
        kept += 20 * shape.hidden + 3 * shape.intermediate
    if runtime.device == "cpu":
        kept += 2 * shape.heads * length  # attention weights
    passing = [16 * shape.vocabulary * (length - shape.picture), 2 * shape.tower]  # trained tokens' logits; pictures
    if runtime.recompute:  # what a layer keeps is there one layer at a time, beside the inputs of all
        passing.append(length * kept)
        kept = 2 * shape.hidden
    return {
        "weights": weights(shape, runtime, training=True),
        "adapter": adapter,
        "gradients and optimizer": (3 + (runtime.devices > 1)) * adapter,  # DDP has its buckets of gradients
        "activations": rows * (shape.layers * length * kept + max(passing)) + 2 * shape.widest,
        "picture features": FEATURES,
    }


def generation(shape: Shape, job: Job, runtime: Runtime) -> Bytes:
    """Bytes that decoding `runtime.batch_size` rows needs, the prompts being a picture of the largest size and a question."""
    size = 4 if runtime.device == "cpu" else 2
    prompt = min(job.member.max_length, shape.picture + QUESTION)
    together = min(TOGETHER, runtime.batch_size)
    reading = prompt * (6 * shape.hidden + 3 * shape.intermediate)
    return {
        "weights": weights(shape, runtime, training=False),
        "adapter": 4.0 * job.lora.rank * shape.lora,
        "activations": size * together * max(reading, shape.tower) + 2 * shape.widest,
        "key-value cache": 2.0 * size * shape.kv * shape.layers * runtime.batch_size * (prompt + job.max_new_tokens),
        "picture features": FEATURES,
    }


def available(device: str, devices: int = 1) -> float:
    """Free bytes for each of the devices, those of the fullest. Raises ValueError where there are not so many."""
    if device == "cpu":
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
        return free / devices
    import torch

    check_device(device)
    if devices > torch.cuda.device_count():
        raise ValueError(f"runtime.devices={devices}: {torch.cuda.device_count()} are visible; take so many at most")
    return float(min(torch.cuda.mem_get_info(number)[0] for number in range(devices)))


@dataclass(frozen=True)
class Need:
    """What a job needs on the device: its shape, and bytes for each of its two phases, other models' among them."""

    job: Job
    shape: Shape
    phases: dict[str, Bytes]


def needs(exp: Experiment) -> list[Need]:
    """What the run's models need, from their config.json alone."""
    shapes = [(job, job.member.shape()) for job in jobs(exp)]
    return [need(job, shape, shapes, exp.runtime) for job, shape in shapes]


def need(job: Job, shape: Shape, shapes: Sequence[tuple[Job, Shape]], runtime: Runtime) -> Need:
    """What one of the models needs. Without `runtime.isolate`, the last two that were asked stay in memory."""
    stay = {} if runtime.isolate else {other.name: weights(s, runtime, training=False) for other, s in shapes}
    phases = {
        "fine-tuning": fine_tuning(shape, job, runtime) | {"models that were asked": sum(stay.values())},
        "generation": generation(shape, job, runtime)
        | {"models that were asked": sum(size for name, size in stay.items() if name != job.name)},
    }
    return Need(job, shape, phases)


def gib(size: float) -> str:
    return f"{size / GIB:.2f}" if size < 10 * GIB else f"{size / GIB:.0f}"
