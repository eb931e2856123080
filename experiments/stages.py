"""Does each stage help? Table 1 of the paper in the small world: accuracy of base, M_0 … M_K, M_final over seeds.

    python experiments/stages.py --seeds 0 1 2 [backbone=qwen2vl …]

Runs train.py once per seed (what the store has is not computed again) and prints Markdown: accuracy per model and seed, and for each
stage the change in points with the exact McNemar p-value on the same test problems.
"""

from __future__ import annotations

import argparse
from typing import Any

from arms import train


def table(summaries: list[dict[str, Any]]) -> str:
    """Models down, seeds across; then the steps from one model to the next."""
    seeds = [summary["seed"] for summary in summaries]
    lines = ["| model | " + " | ".join(f"seed {seed}" for seed in seeds) + " |", "|---" * (len(seeds) + 1) + "|"]
    for rows in zip(*(summary["models"] for summary in summaries), strict=True):
        cells = [
            f"{100 * row['accuracy']:.1f} [{100 * row['ci95'][0]:.1f}, {100 * row['ci95'][1]:.1f}]" for row in rows
        ]
        lines.append(f"| {rows[0]['name']} | " + " | ".join(cells) + " |")
    lines += ["", "| change | " + " | ".join(f"seed {seed}" for seed in seeds) + " |", "|---" * (len(seeds) + 1) + "|"]
    for rows in zip(*(summary["comparisons"] for summary in summaries), strict=True):
        cells = [f"{100 * row['difference']:+.1f}, p {row['p_mcnemar']:.2g}" for row in rows]
        lines.append(f"| {rows[0]['a']} → {rows[0]['b']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args, overrides = parser.parse_known_args()
    print(table([train([f"seed={seed}", *overrides]) for seed in args.seeds]))


if __name__ == "__main__":
    main()
