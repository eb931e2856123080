"""Make the tiny base weights that ship with the package: a model that can read figures and calculate, and nothing more.

    python experiments/pretrain_tiny.py --family qwen2vl

From random weights, in three phases: (1) the tower learns to say, from each picture token, the marks whose centre lies in
its cell, the numbers they stand for, and which cell it is; (2) the whole model mostly transcribes pictures cell by cell;
(3) transcription gives way to describing pictures, reading values by name, checking statements, arithmetic in text and
in words, and telling whether two answers are the same. Only pictures of the train split are drawn. Figures' questions and
the phrases of prompts and verdicts are only ever repeated word by word, what is calculated never follows from the picture,
and no worked solution is shown: stage 1 has that left to teach.
Every 200 steps the state is saved, so a killed run goes on where it was. At the end the weights are written with a card:
how they were made, how well they read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from pretraining.families import FAMILIES
from pretraining.reading import reading_accuracy
from pretraining.tokenizer import make_tokenizer
from pretraining.training import train

from mathse.backbones import Loaded
from mathse.backbones.weights import TINY
from mathse.figures import family_names, stream


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=sorted(FAMILIES), default="qwen2vl")
    parser.add_argument("--steps", type=int, default=3600, help="steps of phases 2 and 3 (32 pictures each)")
    parser.add_argument("--warmup-steps", type=int, default=3600, help="steps of phase 1 (cells only)")
    parser.add_argument(
        "--pool",
        type=int,
        default=60000,
        help="pictures drawn, each used several times with other exercises (60,000 take 8.5 GB of memory)",
    )
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="default: the package's folder of tiny weights")
    parser.add_argument("--work", type=Path, default=Path("runs/pretrain"), help="where the state is kept between runs")
    args = parser.parse_args()
    out, work = args.out or TINY / args.family, args.work / args.family
    out.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    begun = time.time()
    pool = tuple(islice(stream(1000 + args.seed, "train"), args.pool))
    print(f"{len(pool)} pictures of {len(family_names())} families in {time.time() - begun:.0f} s", flush=True)
    family = FAMILIES[args.family]
    tokenizer = make_tokenizer(pool[:3000], family, work)
    tokenizer.save_pretrained(out)
    model, loaded = family.make(tokenizer)
    train(
        family,
        model,
        loaded,
        pool,
        warmup_steps=args.warmup_steps,
        steps=args.steps,
        rate=args.rate,
        seed=args.seed,
        work=work,
    )
    finish(args, out, model, loaded, time.time() - begun)


def finish(args: argparse.Namespace, out: Path, model: Any, loaded: Loaded, seconds: float) -> None:
    """Write weights, config and the card."""
    model.to(torch.bfloat16).save_pretrained(out)
    model.float()
    (out / "generation_config.json").unlink(missing_ok=True)
    files = sorted(
        path for path in out.iterdir() if path.suffix in (".safetensors", ".json") and path.name != "card.json"
    )
    card = {
        "family": args.family,
        "command": f"python experiments/pretrain_tiny.py --family {args.family} --warmup-steps {args.warmup_steps} "
        f"--steps {args.steps} --pool {args.pool} --rate {args.rate} --seed {args.seed}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": args.warmup_steps + args.steps,
        "seconds_of_last_run": round(seconds),
        "taught": "cells, transcription, description, reading by name, checking, arithmetic in numbers and words, comparing, repeating; "
        "no figure's question answered, no solution",
        "reads_test_pictures": reading_accuracy(loaded, args.seed, 100),
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    main()
