"""Several runs side by side: what differs in their settings, accuracies, paired tests, curves against the settings that differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import fmean, stdev

from mathse.report.charts import runs as charts
from mathse.report.charts.runs import Point
from mathse.report.compare.paired import Pair, benchmark_of, paired_tests
from mathse.report.compare.settings import SEED, Arm, arms, settings_of
from mathse.report.parts import Chart, Notice, Part, Report, Section, Stat, Table, Text, attempted, section
from mathse.report.run import Run
from mathse.report.sections.ledger import book_of, clock
from mathse.statistics import p_value, wilson

MOST_LABEL = 60  # characters of an arm's name in a chart


def comparison(runs: Sequence[Run]) -> Report:
    """The report of several runs. Those tested on other problems stand apart; those without any model are named."""
    groups: dict[str, list[Run]] = {}
    notices = [f"{run.name}: {words}" for run in runs for words in run.missing]
    for run in runs:
        try:
            key = benchmark_of(run)
        except (OSError, ValueError, KeyError) as error:
            notices.append(f"{run.name}: its test answers cannot be read ({error}), so it is not compared.")
            continue
        if key:
            groups.setdefault(key, []).append(run)
        else:
            notices.append(f"{run.name} has no evaluated model yet, so it is not compared.")
    if len(groups) > 1:
        sizes = "; ".join(f"{key}: {len(some)} run{'s' * (len(some) > 1)}" for key, some in groups.items())
        notices.insert(
            0, f"These runs were tested on different problems, so they are compared only within each test set: {sizes}."
        )
    sections: list[Section] = []
    for i, (key, some) in enumerate(groups.items()):
        sections += _compared(some, f" on {key}" if len(groups) > 1 else "", f"-{i}" if i else "")
    sections += attempted("runs", "Runs", lambda: overview(runs))
    best = max(
        (run for some in groups.values() for run in some),
        key=lambda run: run.summary["models"][-1]["accuracy"],
        default=None,
    )
    stats = [Stat("Runs", str(len(runs))), Stat("Test sets", str(len(groups)))]
    if best and len(groups) == 1:
        model = best.summary["models"][-1]
        stats.append(
            Stat(
                "Highest accuracy",
                f"{100 * model['accuracy']:.1f} %",
                f"{model['name']}, the best of {len(runs)} by chance too",
            )
        )
    stats.append(Stat("Time", clock(sum(run.summary.get("seconds", 0.0) for run in runs)), "of all runs together"))
    about = ", ".join(dict.fromkeys(f"{run.summary['scale']} {run.summary['backbone']}" for run in runs))
    return Report(f"{len(runs)} runs", "Comparison", about, stats=stats, notices=notices, sections=sections)


def _compared(runs: Sequence[Run], where: str, suffix: str) -> list[Section]:
    found, differ = arms(runs)
    return [
        *attempted(f"accuracy{suffix}", f"Accuracy{where}", lambda: accuracies(found, where, suffix)),
        *attempted(f"tests{suffix}", f"Paired tests{where}", lambda: paired(found, where, suffix)),
        *attempted(f"curves{suffix}", f"Accuracy against settings{where}", lambda: curves(found, where, suffix)),
        *attempted(f"settings{suffix}", f"What differs{where}", lambda: differing(found, differ, where, suffix)),
    ]


def point_of(run: Run) -> Point:
    """The accuracy of the last model."""
    n, correct = (int(run.scores[-1].artifact.metrics[key]) for key in ("n", "correct"))
    low, high = wilson(correct, n)
    return Point(100 * correct / max(1, n), 100 * low, 100 * high)


def accuracies(found: Sequence[Arm], where: str, suffix: str) -> list[Section]:
    """The last model of each run with its interval, and each arm from model to model."""
    names = list(dict.fromkeys(scored.name for arm in found for run in arm.runs for scored in run.scores))
    names.sort(key=lambda name: (name == "M_final", name != "base", len(name), name))
    table = [["arm", "seed", *names, "last: 95% interval", "n"]]
    together = [["arm", "seeds", *names]]
    lines, stages = [], {}
    several_last = len({run.scores[-1].name for arm in found for run in arm.runs}) > 1
    for arm in found:
        points = []
        for run in arm.runs:
            by_name = {scored.name: 100 * scored.artifact.metrics["accuracy"] for scored in run.scores}
            point, seed = point_of(run), str(run.summary.get("seed", ""))
            cells = [f"{by_name[name]:.1f}" if name in by_name else "" for name in names]
            n = f"{run.scores[-1].artifact.metrics['n']:.0f}"
            table.append([arm.label, seed, *cells, f"{point.low:.1f} to {point.high:.1f}", n])
            points.append((f"seed {seed}", point))
        lines.append((_short(arm.label) + f" ({arm.runs[0].scores[-1].name})" * several_last, points))
        values = {
            name: [100 * s.artifact.metrics["accuracy"] for run in arm.runs for s in run.scores if s.name == name]
            for name in names
        }
        stages[_short(arm.label)] = [(name, fmean(some)) for name, some in values.items() if some]
        together.append([arm.label, str(len(arm.runs)), *map(_spread, values.values())])
    said = "; ".join(f"{label}: {', '.join(f'{point.value:.1f}' for _, point in points)}" for label, points in lines)
    parts: list[Part] = [
        Text(
            "Accuracy of each run's models in percent. The interval (Wilson) is that of the last one; it holds the test problems' chance, "
            "not that of training, which is seen between seeds: an arm's runs follow each other from above."
        ),
        Chart(
            "Last model of each run",
            charts.side_by_side(lines),
            f"Accuracy in percent. {said}.",
            size=(7.0, 0.9 + 0.42 * len(lines)),
            wide=True,
        ),
    ]
    if any(len(points) > 1 for points in stages.values()):
        height = 2.8 + 0.17 * (len(stages) if len(stages) <= 12 else 0)
        told = "; ".join(
            f"{label}: {', '.join(f'{name} {value:.1f}' for name, value in points)}" for label, points in stages.items()
        )
        parts.append(
            Chart(
                "From model to model, mean over seeds",
                charts.stages(stages),
                f"Accuracy by model in percent. {told}.",
                size=(4.4, height),
            )
        )
    if several := any(len(arm.runs) > 1 for arm in found):
        parts.append(Table(together, "Mean over seeds ± standard deviation between them"))
    return section(f"accuracy{suffix}", f"Accuracy{where}", parts, Table(table, "Each run", fold=several))


def _spread(percents: Sequence[float]) -> str:
    """Their mean, with their standard deviation where there are several; empty for none."""
    if len(percents) < 2:
        return "".join(f"{percent:.1f}" for percent in percents)
    return f"{fmean(percents):.1f} ± {stdev(percents):.1f}"


def paired(found: Sequence[Arm], where: str, suffix: str) -> list[Section]:
    """Every arm against the first, on the same problems of the same seed."""
    if len(found) < 2:
        return []
    rows = paired_tests(found)
    if not rows:
        words = f"No arm has a seed that the first, {found[0].label}, has too, so nothing is tested. Name another run first."
        return section(f"tests{suffix}", f"Paired tests{where}", Notice(words))
    words = (
        f"Each arm's last model against that of the first, {found[0].label}, on the same problems of the same seed: difference in points, "
        "its 95 % interval (drawn by problem), exact p (by problem too), and after Holm. Name another run first to change that."
    )
    table = [["arm", "points", "95% interval", "p", "p (Holm)", "n"], *map(_test, rows)]
    no = [row.arm for row in rows if row.adjusted >= 0.05]
    verdict = (
        [Text(f"Not significant at 5 % after Holm, so neither a difference nor its absence is shown: {'; '.join(no)}.")]
        if no
        else []
    )
    untested = len(found) - 1 - len(rows)
    missing = [Notice(f"{untested} of the arms share no seed with the first and are not tested.")] if untested else []
    return section(f"tests{suffix}", f"Paired tests{where}", Text(words), Table(table), verdict, missing)


def _test(row: Pair) -> list[str]:
    low, high = (100 * end for end in row.interval)
    return [
        row.arm,
        f"{100 * row.difference:+.1f}",
        f"{low:+.1f} to {high:+.1f}",
        p_value(row.p),
        p_value(row.adjusted),
        str(row.n),
    ]


def curves(found: Sequence[Arm], where: str, suffix: str) -> list[Section]:
    """Accuracy against each numeric setting that takes several values, a line for each way in which the rest may be."""
    told = {arm.label: settings_of(arm.runs[0]) for arm in found}
    names = list(dict.fromkeys(name for one in told.values() for name in one if name != SEED))
    charts_: list[Part] = []
    for name in names:
        numbers = {label: _number(one.get(name, "")) for label, one in told.items()}
        if None in numbers.values() or len(set(numbers.values())) < 2:
            continue
        lines: dict[str, list[tuple[float, Point]]] = {}
        for arm in found:
            rest = ", ".join(part for part in arm.label.split(", ") if not part.startswith(f"{name}="))
            x = numbers[arm.label]
            lines.setdefault(_short(rest), []).extend((x, point_of(run)) for run in arm.runs if x is not None)
        if not any(len({x for x, _ in points}) > 1 for points in lines.values()):
            continue
        lines = dict(sorted(lines.items(), key=lambda line: re.sub(r"\d+", lambda digits: digits[0].zfill(9), line[0])))
        said = "; ".join(
            f"{label} {name}={x:g}: {point.value:.1f}" for label, points in lines.items() for x, point in points
        )
        size = (4.6, 3.0 + 0.17 * (len(lines) if len(lines) > 1 else 0))
        charts_.append(
            Chart(f"Accuracy against {name}", charts.against(name, lines), f"Accuracy in percent. {said}.", size=size)
        )
    return section(f"curves{suffix}", f"Accuracy against settings{where}", charts_)


def differing(found: Sequence[Arm], differ: dict[str, list[str]], where: str, suffix: str) -> list[Section]:
    """A row for each setting that is not the same in all arms."""
    if not differ:
        return section(f"settings{suffix}", f"What differs{where}", Text("Nothing but the seed."))
    labels = [f"arm {i}" for i in range(1, len(found) + 1)]
    named = "; ".join(f"{name}: {arm.label}" for name, arm in zip(labels, found, strict=True))
    table = [["setting", *labels], *([name, *row] for name, row in differ.items())]
    words = f"Read off the recipes of the steps; settings that are the same in all runs are left out. {named}."
    return section(f"settings{suffix}", f"What differs{where}", Text(words), Table(table))


def overview(runs: Sequence[Run]) -> list[Section]:
    """Every run with what it took and what reuse saved it."""
    table = [["run", "models", "steps", "computed", "took", "saved", "D_SFT rows"]]
    for run in runs:
        steps = run.summary["steps"]
        saved = book_of(run)["total"]["saved"]["seconds"] or 0.0
        took = f"{run.summary['seconds']:.1f} s" if "seconds" in run.summary else ""
        rows = str(run.audit["D_SFT"]["rows"]) if run.audit.get("D_SFT") else ""
        computed = sum(not step["cached"] for step in steps)
        table.append([run.name, str(len(run.scores)), str(len(steps)), str(computed), took, f"{saved:.1f} s", rows])
    commands = [["run", "command"], *([run.name, str(run.summary.get("command", ""))] for run in runs)]
    return section("runs", "Runs", Table(table), Table(commands, "Commands", fold=True))


def _number(words: str) -> float | None:
    try:
        return float(words)
    except ValueError:
        return None


def _short(label: str) -> str:
    return label if len(label) <= MOST_LABEL else f"{label[: MOST_LABEL - 1]}…"
