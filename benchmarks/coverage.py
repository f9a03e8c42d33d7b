"""How often the table's 95 % intervals hold the truth, and how often its p values call equal models different.

Invented folds of dialogues whose truth is known: seven emotions from one in two to one in fifty, mixed differently in each
dialogue; a model that knows a segment's emotion with a chance that differs by dialogue, and guesses by frequency otherwise;
valence with dialogue effects. Three worlds: ``plain``; ``clustered`` (dialogues differ far more); ``models differ`` (plain,
and the model of each fold has a skill of its own). The functions are those that make the table.

    python benchmarks/coverage.py --worlds=2000 --out=benchmarks/coverage.json

Two truths. ``these models``: the mean of the five trained models over all dialogues. ``the method``: the mean of all models
that could be trained. They differ in the third world only.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import fire
import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

from erc.evaluation import (
    ClusterSums,
    cluster_intervals,
    confusion_scores,
    confusion_sums,
    corrected_resampled_t_test,
    moment_sums,
    paired_bootstrap,
)

SHARES = np.array([0.04, 0.02, 0.09, 0.45, 0.20, 0.14, 0.06])
METRICS = ("weighted_f1", "micro_f1", "macro_f1", "uar", "ccc")
N_FOLDS = 5
KEMD = 88
"""Dialogues a fold of both corpora together: 200 and 240 in five folds. They are simulated with some 50 segments each."""


@dataclass(frozen=True)
class World:
    """How much dialogues and folds differ: a smaller concentration, a larger difference."""

    emotions: float
    """Concentration of the Dirichlet distribution from which each dialogue draws its emotions' shares."""
    skill: float
    """Concentration of the beta distribution from which each dialogue draws the model's skill."""
    dialogue_sd: float
    """Standard deviation of the dialogues' mean valence; it is 0.6 within a dialogue."""
    fold_sd: float
    """Standard deviation of the skill of the folds' models, around 0.5."""


WORLDS = {
    "plain": World(emotions=8, skill=10, dialogue_sd=0.3, fold_sd=0),
    "clustered": World(emotions=2, skill=3, dialogue_sd=0.6, fold_sd=0),
    "models differ": World(emotions=8, skill=10, dialogue_sd=0.3, fold_sd=0.05),
}


def true_scores(skill: np.ndarray, world: World) -> np.ndarray:
    """(..., 5) ``METRICS`` of models over all dialogues, by their skill (...)."""
    skill = np.asarray(skill)[..., None, None]
    population = SHARES[:, None] * (skill * np.eye(len(SHARES)) + (1 - skill) * SHARES)
    slope, variance = 0.3 + skill[..., 0, 0], 0.6**2 + world.dialogue_sd**2
    noise = 0.5**2 + (0.7 * world.dialogue_sd) ** 2
    ccc = 2 * slope * variance / (variance + slope**2 * variance + noise + 0.1**2)
    return np.concatenate([confusion_scores(population * 1e9), ccc[..., None]], axis=-1)  # as counts of 1e9 segments


def draw_skill(rng: np.random.Generator, world: World, n: int) -> np.ndarray:
    """Skill of n models."""
    return np.clip(0.5 + world.fold_sd * rng.normal(size=n), 0.05, 0.95)


def simulate(
    rng: np.random.Generator, world: World, per_fold: int, n_models: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[ClusterSums, ClusterSums]], np.ndarray]:
    """Folds (N,), dialogues (N,), for each model its sums of emotions and of valence, and its skill (n_models, F)."""
    sizes = (40, 61) if per_fold == KEMD else (5, 16)
    n_clusters = N_FOLDS * per_fold
    clusters = np.repeat(np.arange(n_clusters), rng.integers(*sizes, size=n_clusters))
    n, fold_of = len(clusters), np.arange(n_clusters) // per_fold
    shares = rng.dirichlet(world.emotions * SHARES, size=n_clusters).cumsum(axis=1)[clusters]
    truth = (rng.random((n, 1)) > shares[:, :-1]).sum(axis=1)
    valence = world.dialogue_sd * rng.normal(size=n_clusters)[clusters] + 0.6 * rng.normal(size=n)
    models, skills = [], []
    for _ in range(n_models):
        of_fold = draw_skill(rng, world, N_FOLDS)
        skill = of_fold[fold_of]
        is_known = rng.random(n) < rng.beta(world.skill * skill, world.skill * (1 - skill))[clusters]
        prediction = np.where(is_known, truth, rng.choice(len(SHARES), size=n, p=SHARES))
        noise = 0.7 * world.dialogue_sd * rng.normal(size=n_clusters)[clusters] + 0.5 * rng.normal(size=n)
        guess = (0.3 + skill[clusters]) * valence + noise + 0.1
        models.append(
            (
                confusion_sums(truth=truth, prediction=prediction, clusters=clusters, n_classes=len(SHARES)),
                moment_sums(truth=valence, prediction=guess, clusters=clusters),
            )
        )
        skills.append(of_fold)
    return fold_of[clusters], clusters, models, np.array(skills)


def measure(name: str, per_fold: int, n_worlds: int, n_resamples: int) -> dict:
    """Shares of worlds, by metric: intervals that hold each truth, p below .05 of two models of equal method."""
    world, rng = WORLDS[name], np.random.default_rng([per_fold, list(WORLDS).index(name)])
    of_method = true_scores(draw_skill(rng, world, 20_000), world).mean(axis=0)
    hits: dict[str, np.ndarray] = {}
    for number in range(n_worlds):
        folds, clusters, (a, b), skills = simulate(rng, world, per_fold, 2)
        of_models = true_scores(skills[0], world).mean(axis=0)
        found = [cluster_intervals(sums, folds, clusters, n_resamples, seed=number) for sums in a]
        pairs = [paired_bootstrap(*two, folds, clusters, n_resamples, seed=number) for two in zip(a, b, strict=True)]
        one = {"p bootstrap": np.hstack([pair.p_value for pair in pairs]) < 0.05, "p t": _t_tests(a, b, per_fold)}
        for kind in ("dialogues", "folds"):
            low, high = (np.hstack([getattr(getattr(each, kind), end) for each in found]) for end in ("low", "high"))
            one[f"{kind}: these models"] = (low <= of_models) & (of_models <= high)
            one[f"{kind}: the method"] = (low <= of_method) & (of_method <= high)
            one[f"{kind}: width"] = high - low
        hits = {key: hits.get(key, 0) + value for key, value in one.items()}
    shares = {key: dict(zip(METRICS, (value / n_worlds).round(4).tolist(), strict=True)) for key, value in hits.items()}
    return {"world": name, "dialogues": per_fold, "worlds": n_worlds, "resamples": n_resamples, **shares}


def _t_tests(a: tuple[ClusterSums, ...], b: tuple[ClusterSums, ...], per_fold: int) -> np.ndarray:
    """(5,) whether the corrected resampled t-test calls two models different, by metric."""
    scores = []
    for model in (a, b):
        of_folds = [sums.sums.reshape(N_FOLDS, per_fold, *sums.sums.shape[1:]).sum(axis=1) for sums in model]
        scores.append(np.column_stack([sums.score(total) for sums, total in zip(model, of_folds, strict=True)]))
    return np.array([corrected_resampled_t_test(one, 4, 1).p_value < 0.05 for one in (scores[0] - scores[1]).T])


def main(worlds: int = 1000, resamples: int = 600, sizes: str = "15,20,40,100,88", out: str = "") -> None:
    """Prints one line a world, size and figure; writes all of them as JSON where ``--out`` is given.

    Args:
        worlds: Simulated worlds for each line. A share of .95 has a standard error of .007 with 1,000.
        resamples: Resamples of each bootstrap.
        sizes: Dialogues a fold.
        out: A JSON file.
    """
    found = []
    chosen = [int(size) for size in (sizes if isinstance(sizes, tuple) else str(sizes).split(","))]
    print(f"{'':<44}{''.join(f'{metric:>13}' for metric in METRICS)}")
    with threadpool_limits(1):
        for name in WORLDS:
            for per_fold in chosen:
                started = time.perf_counter()
                one = measure(name, per_fold, worlds, resamples)
                found.append(one)
                for key, by_metric in one.items():
                    if isinstance(by_metric, dict):
                        cells = "".join(f"{value:13.3f}" for value in by_metric.values())
                        print(f"{name:<14}{per_fold:>4}  {key:<24}{cells}")
                print(f"{'':<20}{time.perf_counter() - started:.0f} s", flush=True)
    if out:
        Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    fire.Fire(main)
