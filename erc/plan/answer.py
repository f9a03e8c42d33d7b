"""From the options to the answer: measures this machine, and says what the run and its grid cost, as plain values."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from erc.datasets import HF_KEMD, without_specials
from erc.model import load_tokenizer
from erc.plan.asked_for import Asked, modalities_of, output_folder
from erc.plan.cards import CARDS, MEMORY_SIZES
from erc.plan.costs import (
    CONTEXT_BYTES,
    USABLE,
    Depth,
    Measured,
    Weights,
    activation_bytes,
    below_once,
    cost_of,
    disk_bytes,
    fixed_bytes,
    memory_bytes,
    weights_of,
    written_seconds,
)
from erc.plan.lengths import Batches, Data, batches_of, data_of, published_data
from erc.plan.loop import loop_seconds, optimizer_seconds, writing_seconds
from erc.plan.model import few_layers, layerdrop_of, parts_of
from erc.plan.parts import Points, build_models, layer_without_checkpointing, measure, per_layer, pieces_of, points_of
from erc.plan.timing import MATRIX_OPERATIONS, interleaved, matrix_product
from erc.training import keep_freed_memory, make_views, quieten, set_threads, write_missing_corpora

PRECISIONS = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}

FASTER = 1.1
"""bf16-mixed is planned where its matrix product is so many times as fast as that of 32-true."""

OTHER_SECONDS = 10
"""Of the time for the measurement, for what is measured beside the model."""

N_EPOCHS = 2
"""Epochs whose batches are looked at."""

TOP_LAYERS = (None, 3, 0)
"""Values of ``encoders.*.train_last`` that are planned beside the configured one, where there is that option."""


def plan_run(asked: Asked, seconds: float, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """What the run and its grid cost.

    Args:
        asked: What is planned.
        seconds: For the measurement.
        say: Called with a line before each stage.

    Returns:
        Plain values: ``machine``, ``data``, ``settings`` (a dictionary for each precision and number of trained layers).
    """
    quieten()
    config = asked.config
    n_threads = torch.get_num_threads()
    set_threads(config)
    keep_freed_memory()
    try:
        parts = parts_of(config)
        say("Reading how long the segments are.")
        data = find_data(config, parts)
        say(f"Measuring this machine, about {seconds:g} s.")
        found = Planner(asked, parts, data, seconds).answer()
    finally:
        torch.set_num_threads(n_threads)
    return found


def find_data(config: dict[str, Any], parts: dict[str, Any]) -> Data:
    """Lengths of the configured corpus. It is built where it is not built yet, as training would; where it is not there and it
    is KEMD, the published durations are taken.

    Raises:
        FileNotFoundError: Another corpus than KEMD is not there, or KEMD is there and lacks files.
    """
    options = config["dataset"]
    write_missing_corpora(parts["synthetic"])
    try:
        train, _, reported = make_views(parts["dataset"], config)
    except FileNotFoundError:
        is_absent = options["_target_"].endswith("HF_KEMD") and HF_KEMD.complaints(without_specials(options))
        if not is_absent:
            raise
        return published_data(options["dataset_name"], options.get("signals"))
    text = config["encoders"].get("text", {})
    try:
        tokenizer = load_tokenizer(text["name"], text["revision"]) if text else None
    except OSError:
        tokenizer = None
    return data_of((train, reported), tokenizer)


class Planner:
    """Measures once, and computes every setting from it."""

    def __init__(self, asked: Asked, parts: dict[str, Any], data: Data, seconds: float) -> None:
        config = asked.config
        self.asked, self.config, self.parts, self.data, self.seconds = asked, config, parts, data, seconds
        on_gpu = torch.cuda.is_available() and config["trainer"].get("accelerator") in ("auto", "gpu", "cuda")
        self.device = torch.device("cuda" if on_gpu else "cpu")
        read = {name for node in asked.fusions.values() for name in modalities_of(node)}
        self.built = {name: few_layers(config, name) for name in config["encoders"] if name in read}
        for one in self.built.values():
            one.encoder.to(self.device)
        self.models = build_models(self.built, asked.fusions, data.label_space, config["encoders"])
        for model in self.models.values():
            model.to(self.device)
        self.train = [batches_of(data.train, config, epoch, True) for epoch in range(N_EPOCHS)]
        self.valid = batches_of(data.valid, config, 0, False)

    def answer(self) -> dict[str, Any]:
        """Everything, as plain values."""
        products = self.products()
        points, measured = self.measured(products)
        settings = [self._setting(precision, n, one) for precision, one in measured.items() for n in self._trained()]
        return {"machine": self._machine(products, points), "data": self._described(), "settings": settings}

    def measured(self, products: dict[str, float]) -> tuple[Points, dict[str, dict[str, Measured]]]:
        """Where it was measured, and what, by precision and fusion.

        Args:
            products: Operations a second of a matrix product, by precision.
        """
        space = self.data.label_space
        read = {name: modalities_of(node) for name, node in self.asked.fusions.items()}
        timed = {one: loop_seconds(self.config, self.parts, one, space) for one in dict.fromkeys(read.values())}
        reading = self.data.reading_seconds * self.config["dataloader"]["batch_size"]
        loops = {name: timed[one]._replace(constant=timed[one].constant + reading) for name, one in read.items()}
        process_bytes = 1024 * _resident_kib()  # behind a training of nothing, for which every library was loaded
        most_steps = max(int(one.steps.max()) for one in [*self.train, self.valid])
        points = points_of(self.config, self.built, self.models, most_steps, self.device)
        writing = writing_seconds(output_folder(self.config))
        weight = optimizer_seconds(self.parts["optim"], self.models[self.asked.fusion], self.device)
        per_precision = max(0.0, self.seconds - OTHER_SECONDS) / len(products)
        is_gpu = self.device.type == "cuda"
        found = {}
        for precision, product in products.items():
            dtype = PRECISIONS[precision]
            pieces = pieces_of(self.built, self.models, points, self.device, dtype)
            curves = per_layer(measure(pieces, self.device, dtype, per_precision), self.built)
            recomputed = {
                name: layer_without_checkpointing(pieces[f"{name} layers"], self.device, dtype)
                for name, one in self.built.items()
                if one.n_layers and self.config["encoders"][name].get("gradient_checkpointing")
            }
            found[precision] = {
                name: Measured(points, curves, recomputed, loop, weight, writing, product, is_gpu, process_bytes)
                for name, loop in loops.items()
            }
        return points, found

    def products(self) -> dict[str, float]:
        """Operations a second of a matrix product, by each precision that is worth planning."""
        runs = {name: matrix_product(self.device, dtype) for name, dtype in PRECISIONS.items()}
        taken = interleaved(dict(runs), self.device, 2.0)
        found = {name: MATRIX_OPERATIONS / taken[name] for name in PRECISIONS}
        return {name: rate for name, rate in found.items() if name == "32-true" or rate > FASTER * found["32-true"]}

    def _trained(self) -> list[int | str | None]:
        """Numbers of trained layers that are planned: ``configured``, and others where there is the option."""
        if not any("train_last" in self.config["encoders"][name] for name in self.built):
            return ["configured"]
        nodes = [self.config["encoders"][name] for name, one in self.built.items() if one.n_layers]
        as_configured = {0 if node.get("freeze") else node.get("train_last") for node in nodes}
        return ["configured", *(n for n in TOP_LAYERS if as_configured != {n})]

    def depths(self, n: int | str | None) -> dict[str, Depth]:
        """Each encoder as it is trained with so many layers, by modality."""
        found = {}
        is_cached = self.config["dataloader"].get("cache") is not None
        for name, one in self.built.items():
            node = self.config["encoders"][name]
            trained = (0 if node.get("freeze") else node.get("train_last")) if n == "configured" else n
            has_cut = n != "configured" or node.get("train_last") is not None
            depth = Depth(one, layerdrop_of(self.config, name), trained if one.n_layers else None, is_cached, has_cut)  # type: ignore[arg-type]
            found[name] = depth
        return found

    def _setting(self, precision: str, n: int | str | None, measured: dict[str, Measured]) -> dict[str, Any]:
        """One precision and number of trained layers: the configured run, the grid, other cards, batch sizes."""
        depths = self.depths(n)
        cells = {name: self._cell(name, depths, measured[name]) for name in self.asked.fusions}
        rows = [cells[self.asked.fusion_of(row)] for row in self.asked.rows]
        n_folds, run = self.data.n_folds, cells[self.asked.fusion]
        read = {name for row in rows for name in modalities_of(self.asked.fusions[row["fusion"]])}
        grid = {
            "cells": len(rows) * n_folds,
            # what is below the trained layers is computed once for all rows and folds
            "hours": n_folds * sum(row["hours"] - row["once_hours"] for row in rows)
            + max(row["once_hours"] for row in rows),
            "disk_bytes": n_folds * sum(row["disk_bytes"] - row["shared_disk_bytes"] for row in rows)
            + 4 * sum(depths[name].n_shared for name in read)
            + self.data.build_bytes,
        }
        mine, modalities = measured[self.asked.fusion], modalities_of(self.asked.fusions[self.asked.fusion])
        return {
            "precision": precision,
            "train_last": n,
            "cell": run,
            "grid": grid,
            "cards": self._cards(precision, run, rows, mine),
            "largest_batch": self._largest(depths, modalities, mine, Weights(run["weights"], run["trained_weights"])),
        }

    def _cell(self, fusion: str, depths: dict[str, Depth], measured: Measured) -> dict[str, Any]:
        modalities = modalities_of(self.asked.fusions[fusion])
        weights = weights_of(depths, self.models[fusion])
        trained = [cost_of(one, depths, fusion, modalities, measured, True) for one in self.train]
        reported = cost_of(self.valid, depths, fusion, modalities, measured, False)
        n_steps = float(np.mean([len(one.sizes) for one in self.train]))
        n_updates = n_steps / self.config["trainer"].get("accumulate_grad_batches", 1)
        optimizer = n_updates * measured.optimizer * weights.trained
        model = float(np.mean([one.seconds for one in trained])) + reported.seconds
        writing = written_seconds(weights, measured.writing)
        n_epochs = self.config["trainer"]["max_epochs"]
        epoch = model + optimizer + writing
        operations = float(np.mean([one.operations for one in trained])) + reported.operations
        once = 0.0
        if self.config["dataloader"].get("cache") is not None:
            n_all, n_valid = (len(self.data.train.samples) + len(self.data.valid.samples)), self.valid.sizes.sum()
            once = float(below_once(self.valid, depths, fusion, modalities, measured).seconds * n_all / n_valid)
        kept, shared, in_training = disk_bytes(weights)
        activations = max(
            float(activation_bytes(one, depths, fusion, modalities, measured).max()) for one in self.train
        )
        return {
            "fusion": fusion,
            "epoch_seconds": epoch,
            "hours": (once + n_epochs * epoch + reported.seconds + (kept - shared) * measured.writing.slope) / 3600,
            "once_hours": once / 3600,
            "epochs": n_epochs,
            "steps": n_steps,
            "updates": n_updates,
            "operations": operations,
            "efficiency": operations / model / measured.product,
            "loop_seconds": float(np.mean([measured.loop.at(one.samples).sum() for one in self.train])),
            "optimizer_seconds": optimizer,
            "writing_seconds": writing,
            "memory_bytes": memory_bytes(weights, activations, measured),
            "activation_bytes": activations,
            "disk_bytes": kept,
            "shared_disk_bytes": shared,
            "disk_in_training_bytes": in_training,
            "weights": weights.all,
            "trained_weights": weights.trained,
        }

    def _cards(
        self, precision: str, run: dict[str, Any], rows: list[dict[str, Any]], measured: Measured
    ) -> list[dict[str, Any]]:
        """Hours on other cards: the operations at the share of the peak that is reached here, weights at full bandwidth."""
        found = []
        for card in CARDS:
            hours = {}
            for one in [run, *rows]:
                model = one["operations"] / (card.peak(precision) * min(1.0, one["efficiency"]))
                # AdamW reads weight, gradient and two averages, and writes three of them
                stepping = one["updates"] * one["trained_weights"] * 28 / (1e9 * card.bandwidth)
                hours[one["fusion"]] = one["epochs"] * (model + stepping) / 3600
            grid = self.data.n_folds * sum(hours[row["fusion"]] for row in rows)
            found.append({"card": card.name, "cell_hours": hours[run["fusion"]], "grid_hours": grid})
        return found

    def _largest(
        self, depths: dict[str, Depth], modalities: tuple[str, ...], measured: Measured, weights: Weights
    ) -> dict[str, int]:
        """Segments a batch that fit a card, by its gigabytes; 0 where not one does."""
        longest = (np.full(2, max(values.max() for values in lengths)) for lengths in zip(*self.train, strict=True))
        batches = Batches(*longest)._replace(sizes=np.array([1, 2]))
        kept = activation_bytes(batches, depths, self.asked.fusion, modalities, measured)
        each = kept[1] - kept[0]
        held = fixed_bytes(weights, measured._replace(is_gpu=True))
        found = {}
        for gigabytes in MEMORY_SIZES:
            room = USABLE * gigabytes * 2**30 - held
            fits = room >= 4 * weights.trained and room >= kept[0]
            found[str(gigabytes)] = 1 + int((room - kept[0]) // each) if fits else 0
        return found

    def _machine(self, products: dict[str, float], points: Any) -> dict[str, Any]:
        gpu = self.device.type == "cuda"
        return {
            "device": torch.cuda.get_device_name() if gpu else "CPU",
            "threads": torch.get_num_threads(),
            "product_operations_a_second": products,
            "measured_segments": points.n_segments,
            "encoders": {name: one.source for name, one in self.built.items()},
            "layers": {name: one.n_layers for name, one in self.built.items()},
            "cuda_context_bytes": CONTEXT_BYTES if gpu else 0,
            "measured_at": time.strftime("%Y-%m-%dT%H:%M:%S"),
        }

    def _described(self) -> dict[str, Any]:
        samples = self.data.train.samples.clip(max=self.config["dataloader"]["collate"]["max_samples"])
        first = self.train[0]
        return {
            "source": self.data.source,
            "training_segments": len(self.data.train.samples),
            "reported_segments": len(self.data.valid.samples),
            "mean_seconds": float(samples.mean()) / 16_000,
            "real_share_of_samples": float(samples.sum() / (first.samples * first.sizes).sum()),
            "folds": self.data.n_folds,
            "build_bytes": self.data.build_bytes,
        }


def _resident_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
