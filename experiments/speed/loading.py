"""How much memory does loading take? A made-up checkpoint in the published format of each family, loaded in 4 bits in a new process.

    python experiments/speed/loading.py [--shard 50]

About 170 million random parameters in bfloat16, in shards. Prints, beside the checkpoint's size and its largest shard: the memory that
the loaded model keeps, the most that the process had of its own while loading (RssAnon, sampled) and with the pages of the files that
it read (VmHWM), each above what it had before; the seconds; and processor seconds of loading the tiny Qwen2-VL, imports apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS, VOCABULARY = 1024, 4096, 10, 16, 4, 1024
WIDTH, PATCH, SIDE = 128, 14, 112
MIB = 2**20
Shapes = dict[str, tuple[int, ...]]


def qwen2vl(ids: dict[str, int]) -> tuple[dict[str, Any], Shapes]:
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    config = {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "vocab_size": VOCABULARY,
        "bos_token_id": None,
        "eos_token_id": None,
        "tie_word_embeddings": False,
        "image_token_id": ids["<|image_pad|>"],
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "vision_config": {"depth": 2, "embed_dim": WIDTH, "hidden_size": HIDDEN, "num_heads": 4, "patch_size": PATCH},
    }
    with torch.device("meta"):
        model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(**config))
    names = {"model.language_model.": "model.", "model.visual.": "visual."}
    shapes = {}
    for name, tensor in model.state_dict().items():
        prefix = next((prefix for prefix in names if name.startswith(prefix)), "")
        shapes[names.get(prefix, "") + name.removeprefix(prefix)] = tuple(tensor.shape)
    return config, shapes


def internvl25(ids: dict[str, int]) -> tuple[dict[str, Any], Shapes]:
    llm = {
        "architectures": ["InternLM2ForCausalLM"],
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    vision = {
        "hidden_size": WIDTH,
        "intermediate_size": 4 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "qkv_bias": True,
        "qk_normalization": False,
        "norm_type": "layer_norm",
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "image_size": SIDE,
        "patch_size": PATCH,
    }
    config = {
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "llm_config": llm,
        "vision_config": vision,
    }
    packed = HIDDEN + 2 * KEY_HEADS * HIDDEN // HEADS
    shapes: Shapes = {
        "language_model.model.tok_embeddings.weight": (VOCABULARY, HIDDEN),
        "language_model.model.norm.weight": (HIDDEN,),
        "language_model.output.weight": (VOCABULARY, HIDDEN),
        "vision_model.embeddings.class_embedding": (1, 1, WIDTH),
        "vision_model.embeddings.position_embedding": (1, (SIDE // PATCH) ** 2 + 1, WIDTH),
        "vision_model.embeddings.patch_embedding.weight": (WIDTH, 3, PATCH, PATCH),
        "vision_model.embeddings.patch_embedding.bias": (WIDTH,),
        "mlp1.0.weight": (4 * WIDTH,),
        "mlp1.0.bias": (4 * WIDTH,),
        "mlp1.1.weight": (HIDDEN, 4 * WIDTH),
        "mlp1.1.bias": (HIDDEN,),
        "mlp1.3.weight": (HIDDEN, HIDDEN),
        "mlp1.3.bias": (HIDDEN,),
    }
    for i in range(LAYERS):
        layer = f"language_model.model.layers.{i}"
        shapes |= {
            f"{layer}.attention.wqkv.weight": (packed, HIDDEN),
            f"{layer}.attention.wo.weight": (HIDDEN, HIDDEN),
            f"{layer}.feed_forward.w1.weight": (INNER, HIDDEN),
            f"{layer}.feed_forward.w2.weight": (HIDDEN, INNER),
            f"{layer}.feed_forward.w3.weight": (INNER, HIDDEN),
            f"{layer}.attention_norm.weight": (HIDDEN,),
            f"{layer}.ffn_norm.weight": (HIDDEN,),
        }
    for i in range(2):
        layer = f"vision_model.encoder.layers.{i}"
        linear = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, into) in linear.items():
            shapes |= {
                f"{layer}.{name}.weight": (out * WIDTH, into * WIDTH),
                f"{layer}.{name}.bias": (out * WIDTH,),
            }
        vectors = ("ls1", "ls2", "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias")
        shapes |= {f"{layer}.{name}": (WIDTH,) for name in vectors}
    return config, shapes


def cogvlm2(ids: dict[str, int]) -> tuple[dict[str, Any], Shapes]:
    """Half as many layers: each has two experts."""
    import torch

    from mathse.backbones.cogvlm2_model import CogVLM2Config, CogVLM2ForCausalLM

    config = {
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS // 2,
        "num_attention_heads": HEADS,
        "num_multi_query_heads": KEY_HEADS,
        "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5,
        "bos_token_id": ids["<s>"],
        "eos_token_id": ids["</s>"],
        "pad_token_id": ids["<pad>"],
        "vision_config": {
            "dropout_prob": 0.0,
            "hidden_act": "gelu",
            "in_channels": 3,
            "num_hidden_layers": 2,
            "hidden_size": WIDTH,
            "patch_size": PATCH,
            "num_heads": 4,
            "intermediate_size": 4 * WIDTH,
            "layer_norm_eps": 1e-6,
            "num_positions": (SIDE // PATCH) ** 2 + 1,
            "image_size": SIDE,
        },
    }
    with torch.device("meta"):
        model = CogVLM2ForCausalLM(CogVLM2Config(**config))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return {"architectures": ["CogVLMForCausalLM"], **config}, shapes


FAMILIES = {"qwen2vl": qwen2vl, "internvl25": internvl25, "cogvlm2": cogvlm2}


def member(family: str, folder: Path) -> Any:
    from mathse.backbones.cogvlm2 import CogVLM2
    from mathse.backbones.internvl25 import InternVL25
    from mathse.backbones.qwen2vl import Qwen2VL

    if family == "qwen2vl":
        return Qwen2VL(checkpoint=str(folder), min_pixels=3136, max_pixels=SIDE**2, max_length=512)
    if family == "internvl25":
        return InternVL25(checkpoint=str(folder), max_tiles=1, max_length=512, system="Solve.")
    return CogVLM2(checkpoint=str(folder), max_length=512, several="tile", exact_rope=True)


def write(family: str, folder: Path, shard: int) -> list[int]:
    """A checkpoint in `folder`, in shards of `shard` MiB; the sizes of its shards."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from mathse.backbones.internvl25 import InternVL25
    from mathse.backbones.qwen2vl import Qwen2VL

    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    marks = dict.fromkeys(["<s>", "</s>", "<pad>", *Qwen2VL.marks, *InternVL25.marks])
    tokenizer.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)
    config, shapes = FAMILIES[family](tokenizer.get_vocab())
    (folder / "config.json").write_text(json.dumps(config))

    def shards() -> Iterator[dict[str, torch.Tensor]]:
        tensors: dict[str, torch.Tensor] = {}
        for name, shape in shapes.items():
            tensors[name] = torch.empty(shape, dtype=torch.bfloat16).normal_(std=0.02)
            if sum(tensor.nbytes for tensor in tensors.values()) >= shard * MIB:
                yield tensors
                tensors = {}
        yield tensors

    where: dict[str, str] = {}
    for i, tensors in enumerate(shards()):
        save_file(tensors, folder / f"model-{i}.safetensors", metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, f"model-{i}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return [path.stat().st_size for path in folder.glob("model-*.safetensors")]


def memory() -> dict[str, int]:
    """This process's memory in bytes, by the kernel's names."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {words[0].rstrip(":"): 1024 * int(words[1]) for words in lines if words[-1] == "kB"}


def measure(family: str, folder: Path) -> dict[str, float]:
    """Bytes above those before loading, and seconds. A first load of the tiny Qwen2-VL imports what is needed."""
    from mathse.backbones.qwen2vl import Qwen2VL
    from mathse.memory import release

    small = Qwen2VL(checkpoint="tiny", min_pixels=3136, max_pixels=SIDE**2, max_length=512)
    small.load()
    begun = time.process_time()
    small.load()
    tiny = time.process_time() - begun
    release(cycles=True)
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
    before, most, done = memory(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            most[0] = max(most[0], memory()["RssAnon"])

    thread = threading.Thread(target=watch)
    thread.start()
    begun = time.perf_counter()
    loaded = member(family, folder).load()
    seconds = time.perf_counter() - begun
    done.set()
    thread.join()
    highest = memory()["VmHWM"]
    release(cycles=True)
    after = memory()
    del loaded
    return {
        "kept": after["RssAnon"] - before["RssAnon"],
        "own": most[0] - before["RssAnon"],
        "all": highest - before["VmRSS"],
        "seconds": seconds,
        "tiny seconds": tiny,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shard", type=int, default=50, help="MiB")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--measure", nargs=2, metavar=("FAMILY", "FOLDER"), help="load once and print JSON")
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure[0], Path(args.measure[1]))))
        return
    print("| MiB | checkpoint | largest shard | kept | peak, own | peak, with files | own / checkpoint | s | tiny, s |")
    print("|---" * 9 + "|")
    for family in args.families:
        with tempfile.TemporaryDirectory(prefix="mathse-loading-") as temporary:
            sizes = write(family, Path(temporary), args.shard)
            command = [sys.executable, __file__, "--measure", family, temporary]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        whole, largest = sum(sizes), max(sizes)
        numbers = [whole, largest, *(found[name] for name in ("kept", "own", "all"))]
        cells = [f"{number / MIB:.0f}" for number in numbers]
        cells += [f"{found['own'] / whole:.2f}", f"{found['seconds']:.1f}", f"{found['tiny seconds']:.2f}"]
        print(f"| {family} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
