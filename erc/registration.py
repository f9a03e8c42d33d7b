"""Makes saved models known to ``transformers``: after ``import erc``, ``AutoModel.from_pretrained(folder)`` finds them.

``import erc`` imports neither torch nor transformers. So the classes are registered when transformers' own lists of classes
are imported, whichever of the two packages comes first.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

REGISTERS = {
    "transformers.models.auto.configuration_auto": "erc.model.configuration",
    "transformers.models.auto.processing_auto": "erc.model.processor",
}
"""Module of transformers -> the module here that adds a class to its list. A configuration registers the model, too."""


def register() -> None:
    """Registers now what transformers has imported already, and the rest when transformers imports it."""
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())
    for theirs, ours in REGISTERS.items():
        if theirs in sys.modules:
            importlib.import_module(ours)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Finds nothing itself; has ours imported after theirs."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Theirs, with a loader that imports ours afterwards; None for any other module."""
        if fullname not in REGISTERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, REGISTERS[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """Theirs, then ours."""

    def __init__(self, loader: importlib.abc.Loader, ours: str) -> None:
        self._loader, self._ours = loader, ours

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As their loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Runs theirs, then imports ours."""
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        importlib.import_module(self._ours)
