"""`python -m mathse.preflight backbone=qwen2vl scale=small …`: will it fit, and does it compute what it should? Before hours are spent.

First, from config.json alone, before any weights are read: parameters, and the memory that fine-tuning and generation need
against what is free. Then, with the weights: the label mask of one row, the loss of a batch against that of its rows, and an
adapter saved and loaded again. `check` is the first part; train.py calls it at the start of real runs.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mathse.backbones import Backbone
from mathse.backbones.loading import Shape, check_device
from mathse.backbones.qlora import Lora
from mathse.backbones.weights import check_shards
from mathse.command import command, usage
from mathse.feedback.orm import Orm
from mathse.fit import Fit
from mathse.store import Runtime

if TYPE_CHECKING:
    from mathse.backbones import Loaded, Row
    from mathse.config import Experiment

GIB = 2**30
NF4 = 0.516  # bytes a parameter: 4 bits, and the twice quantised scale of each block of 64
QUESTION = 512  # tokens that a prompt is taken to have beside its picture
FEATURES = 256 * 2**20  # the cache of picture features
TOGETHER = 64  # prompts and pictures that generation reads at once
LOSS_LIMIT = 0.02  # relative, of a batch against its rows: training computes in bfloat16
TRIP_LIMIT = 1e-3  # of the logits after an adapter's round trip

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


# ---- memory, by arithmetic ----


def weights(shape: Shape, runtime: Runtime, *, training: bool) -> float:
    """Bytes of the weights, as `loading.load` holds them for training or for generation."""
    plain = 2 if training or runtime.device != "cpu" else 4
    quantized = 4 if runtime.unfold and not training else NF4
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
        "gradients and optimizer": 3 * adapter,
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


def available(device: str) -> float:
    """Free bytes on the device. Raises ValueError where there is no such device."""
    if device == "cpu":
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    import torch

    check_device(device)
    return float(torch.cuda.mem_get_info()[0])


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


def check(exp: Experiment) -> None:
    """Raises ValueError, one line, where a checkpoint is missing or not whole, or where the run cannot fit into memory.

    Reads configurations and headers only.
    """
    found = needs(exp)
    refuse(exp, found, available(exp.runtime.device))
    for job in jobs(exp):
        check_shards(job.member.folder())


def refuse(exp: Experiment, found: Sequence[Need], room: float) -> None:
    """Raises ValueError with the numbers, and with what would fit, for the first phase that does not fit into `room` bytes."""
    for one in found:
        job = one.job
        if job.member.max_length <= one.shape.picture:
            raise ValueError(
                f"{job.field}.max_length={job.member.max_length} leaves no room beside a picture of up to "
                f"{one.shape.picture} tokens; raise it or make pictures smaller"
            )
        for phase, parts in one.phases.items():
            total = sum(parts.values())
            if total > room:
                largest = ", ".join(f"{name} {gib(size)}" for name, size in parts.items() if size > 0.01 * total)
                raise ValueError(
                    f"{phase} of the {job.name} needs about {gib(total)} GiB ({largest}), {gib(room)} are free on "
                    f"{exp.runtime.device}; {smaller(exp, found, one, phase, room)}"
                )


def smaller(exp: Experiment, found: Sequence[Need], one: Need, phase: str, room: float) -> str:
    """The mildest change with which the phase fits, as overrides; a smaller member where none is enough."""
    shapes = [(other.job, other.shape) for other in found]
    for overrides, job, runtime in milder(one.job, one.shape, exp.runtime, phase):
        if sum(need(job, one.shape, shapes, runtime).phases[phase].values()) <= room:
            return f"{overrides} fits"
    field = one.job.field
    return f"a smaller member ({field}.checkpoint=…, or a smaller scale) or more memory is needed"


def milder(job: Job, shape: Shape, runtime: Runtime, phase: str) -> Iterator[tuple[str, Job, Runtime]]:
    """Changes in the order of what they cost: a process for each step, activations computed twice, fewer rows at once, rows
    that are shorter. The first two leave the recipe as it is."""
    before = ""
    if not runtime.isolate:
        before, runtime = "runtime.isolate=true ", dataclasses.replace(runtime, isolate=True)
        yield before.rstrip(), job, runtime
    if phase == "generation":
        rows = runtime.batch_size
        while rows := rows // 2:
            yield f"{before}runtime.batch_size={rows}", job, dataclasses.replace(runtime, batch_size=rows)
        return
    if not runtime.recompute:
        before, runtime = f"{before}runtime.recompute=true ", dataclasses.replace(runtime, recompute=True)
        yield before.rstrip(), job, runtime
    size = job.fit.batch_size
    for micro in range(job.fit.micro_batch_size - 1, 0, -1):
        if size % micro == 0:
            fewer = dataclasses.replace(job, fit=dataclasses.replace(job.fit, micro_batch_size=micro))
            yield f"{before}{job.fit_field}.micro_batch_size={micro}", fewer, runtime
    one = dataclasses.replace(job.fit, micro_batch_size=1)
    member: Any = job.member
    for length in range(member.max_length - 256, shape.picture + QUESTION - 1, -256):
        shorter = dataclasses.replace(job, fit=one, member=dataclasses.replace(member, max_length=length))
        words = f"{job.fit_field}.micro_batch_size=1 {job.field}.max_length={length}"
        yield f"{before}{words}", shorter, runtime


def gib(size: float) -> str:
    return f"{size / GIB:.2f}" if size < 10 * GIB else f"{size / GIB:.0f}"


# ---- the table ----


def estimate(one: Need, room: float, device: str) -> list[str]:
    """Lines: parameters by part, and memory by phase."""
    shape, job = one.shape, one.job
    settings: Any = job.member
    lines = [
        f"{job.name}: {job.member.family}, {job.field}.checkpoint={settings.checkpoint}",
        f"  {'part':<24}{'parameters':>16}{'bits':>6}{'trained':>14}",
    ]
    for part, count in shape.parameters.items():
        if part == "language":
            lines.append(f"  {'language, linear layers':<24}{shape.quantized:>16,}{4:>6}{0:>14,}")
            count -= shape.quantized
            part = "language, the rest"
        lines.append(f"  {part:<24}{count:>16,}{16:>6}{0:>14,}")
    adapter = job.lora.rank * shape.lora
    lines.append(f"  {'adapter':<24}{adapter:>16,}{32:>6}{adapter:>14,}")
    for phase, parts in one.phases.items():
        total = sum(parts.values())
        lines.append(f"  {f'GiB for {phase}':<40}{gib(total):>6} of {gib(room)} free on {device}")
        lines += [f"    {name:<38}{gib(size):>6}" for name, size in parts.items() if size]
    lines.append(f"  {'tokens of the largest picture':<40}{shape.picture:>6} of {job.member.max_length} in a row")
    return lines


def measure(job: Job, device: str) -> tuple[list[str], list[str]]:
    """Lines of what was measured with the weights in memory, and complaints about what is not as it should be."""
    import torch

    from mathse import training
    from mathse.figures.data import Figures
    from mathse.memory import release
    from mathse.steps.generate import ask
    from mathse.types import Turn

    with tempfile.TemporaryDirectory(prefix="mathse-preflight-") as temporary:
        folder = Path(temporary)
        problems = Figures(size=13, seed=0, split="train", families=()).write(folder)
        # In training mode, since bitsandbytes has another kernel for evaluation on a CPU; so without dropout.
        lora = dataclasses.replace(job.lora, dropout=0.0)
        loaded = job.member.load(lora=lora, device=device)
        loaded.module.train()
        replies = [f"Step 1: Look closely.\nThe answer to this problem is {problem.answer}." for problem in problems]
        rows = [loaded.encode((*ask(p), Turn("assistant", reply))) for p, reply in zip(problems, replies, strict=True)]
        rows = [row for row in rows if row.pictures][:4]
        torch.manual_seed(0)
        for name, parameter in loaded.module.named_parameters():
            if "lora_B" in name:  # zeros as they are made: the adapter would change nothing
                torch.nn.init.normal_(parameter, std=0.02)
        loaded.module.save_pretrained(folder / "adapter")
        mask = training.table(loaded, rows[0]).splitlines()[-1]
        tokens = int((rows[0].ids == loaded.picture_id).sum())
        together, single = losses(loaded, rows)
        with loaded.module.disable_adapter():
            without = logits(loaded, rows[0])
        before = logits(loaded, rows[0])
        del loaded
        release(cycles=True)
        after = logits(job.member.load(folder / "adapter", lora=lora, device=device), rows[0])
    apart = abs(together - single) / single
    changed, lost = (float((before - other).abs().max()) for other in (without, after))
    lines = [
        f"  {'tokens of a sample picture':<40}{tokens:>6}",
        mask,
        f"  {f'loss of {len(rows)} rows as a batch, one by one':<40}{together:.4f}, {single:.4f}: {100 * apart:.2f} % apart",
        f"  {'largest change of a logit by an adapter':<40}{changed:.4f}",
        f"  {'… after it was saved and loaded again':<40}{lost:.2g} away",
    ]
    wrong = []
    if apart > LOSS_LIMIT:
        wrong.append(f"{job.name}: the loss of a batch is {100 * apart:.1f} % away from that of its rows")
    if lost > TRIP_LIMIT or changed == 0:
        wrong.append(f"{job.name}: an adapter does not survive being saved and loaded ({lost:.2g} of {changed:.2g})")
    return lines, wrong


def losses(loaded: Loaded, rows: Sequence[Row]) -> tuple[float, float]:
    """The summed loss of the rows as one batch, and one by one."""
    import torch

    with torch.no_grad(), torch.autocast(loaded.device.type, torch.bfloat16):
        together = float(loaded.loss(loaded.batch(rows, side="right")))
        return together, sum(float(loaded.loss(loaded.batch([row], side="right"))) for row in rows)


def logits(loaded: Loaded, row: Row) -> Any:
    """The logits (T, V) of one row, on the CPU, as training computes them."""
    import torch

    loaded.module.train()
    batch = loaded.batch([row], side="left")
    with torch.no_grad(), torch.autocast(loaded.device.type, torch.bfloat16):
        hidden = loaded.language(batch.embeds, batch.positions, batch.mask, batch.picture_mask)
        return loaded.head(hidden)[0].float().cpu()


@command
def main(words: Sequence[str]) -> int:
    """Print the table; 1 where something is not as it should be."""
    usage(__doc__, words)
    from mathse.config import load

    exp = load(*words)
    found, room = needs(exp), available(exp.runtime.device)
    for one in found:
        print("\n".join(estimate(one, room, exp.runtime.device)), flush=True)
    check(exp)
    wrong: list[str] = []
    for job in {job.member: job for job in reversed(jobs(exp))}.values():  # one member is measured once
        lines, complaints = measure(job, exp.runtime.device)
        print("\n".join([f"{job.name}, measured:", *lines]), flush=True)
        wrong += complaints
    if wrong:
        print("mathse: " + "; ".join(wrong), file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
