"""Composes what a command line of train.py asks for, as Hydra will, and checks it before Hydra acts.

``@hydra.main`` composes, sets up logging, and builds callbacks and a launcher before the program's own code runs. So the
configuration is composed once more before: every job of a multirun that can differ in Hydra's own options.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from erc.configuration.check import NODE, TOP_LEVEL, check_config
from erc.configuration.hydra_tree import check_hydra, check_search_path


def check_command_line(arguments: list[str], config_dir: str | Path) -> None:
    """Checks every configuration that a command line asks for: Hydra's own options, then the program's.

    Args:
        arguments: What follows train.py.
        config_dir: Folder with train.yaml.

    Raises:
        ValueError: An option may not stand there, the configuration cannot be composed, or the command line asks for
            files that run code.
    """
    from hydra._internal.utils import get_args_parser
    from omegaconf import OmegaConf

    options = get_args_parser().parse_args(arguments)
    if options.experimental_rerun is not None:
        raise ValueError(
            "A run is started from options: --experimental-rerun reads a pickle, which can run any code. Give the options "
            "again, or go on from a checkpoint (ckpt_path=)."
        )
    if options.config_path is not None:
        raise ValueError(
            f"The configuration is that of the program: expected {config_dir}, got --config-path {options.config_path}. Add "
            "files of your own with --config-dir."
        )
    if options.shell_completion:
        return
    is_shown_only = options.help or options.hydra_help or options.info or options.cfg
    config_dirs = [config_dir, *([options.config_dir] if options.config_dir else [])]
    with _loader(config_dir, options.config_dir) as hydra:
        _composing(_parsed, options.overrides, hydra.config_loader)
        for entries in _search_paths(hydra, options.config_name or "train", options.overrides):
            check_search_path(entries, config_dirs)
        for overrides in _composing(_jobs, options.overrides, hydra.config_loader):
            config = _composing(_compose, hydra, options.config_name or "train", overrides)
            typed = {one.key_or_group for one in _parsed(overrides, hydra.config_loader)}
            check_hydra(_composing(OmegaConf.to_container, config.hydra, resolve=False), typed)
            if not is_shown_only:
                _check_parts(OmegaConf.to_container(config, resolve=False))
                check_config(_composing(_plain, config, options.multirun), TOP_LEVEL)


def compose_run(overrides: list[str], config_dir: str | Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The checked configuration of one run, for a program that trains nothing.

    What train.py alone can say (whether there is a terminal, a process number) is filled in with a value that decides nothing.

    Args:
        overrides: Options of train.py.
        config_dir: Folder with train.yaml.

    Returns:
        The configuration as plain values, and the choice in each group (``fusion``: ``small/concat``).

    Raises:
        ValueError: They do not compose or do not fit the code, or they sweep over values, which makes several runs.
    """
    from omegaconf import OmegaConf

    for name, value in {"wandb_offline": True, "row_name": "", "process_id": 0, "is_terminal": False}.items():
        if not OmegaConf.has_resolver(name):
            OmegaConf.register_new_resolver(name, lambda *_, value=value: value)
    flags = [one for one in overrides if one.startswith("-")]
    if flags:
        raise ValueError(f"Options of a run have the form name=value: got {' '.join(flags)}.")
    check_command_line(overrides, config_dir)
    with _loader(config_dir, None) as hydra:
        sweeps = [one.input_line for one in _parsed(overrides, hydra.config_loader) if one.is_sweep_override()]
        if sweeps:
            raise ValueError(f"One run has one value of each option: got {' '.join(map(str, sweeps))}.")
        config = _composing(_compose, hydra, "train", overrides)
        choices = dict(config.hydra.runtime.choices)
        plain = _composing(_plain, config, False)
    check_config(plain, TOP_LEVEL)
    return plain, choices


def _check_parts(config: Any) -> None:
    """Raises ValueError if a part is not there; interpolations of the others would fail first, in Hydra's words."""
    for name, kind in TOP_LEVEL.items():
        if name not in config or (kind is NODE and isinstance(config[name], dict) and "_target_" not in config[name]):
            raise ValueError(
                f"The configuration must hold every part of the program: {name} is not there, or has no _target_. Leave out "
                f"what removes it (~{name})."
            )


def _composing(do: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Does a step of Hydra's, whose errors of any kind become one of our own."""
    from hydra.errors import OverrideParseException

    try:
        return do(*args, **kwargs)
    except Exception as err:
        hint = nearest_option(err)
        if isinstance(err, OverrideParseException):
            hint = "\nA value with spaces, or with letters such as Hangul, needs quotes of its own: 'name=\"value\"'."
        raise ValueError(f"The options must compose: {str(err).strip()}{hint}") from err


def nearest_option(error: Exception) -> str:
    """What an option that does not exist may have meant, as a line to append to Hydra's message; else empty.

    Args:
        error: What Hydra raised while it composed.
    """
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    cause = error.__cause__
    if not isinstance(cause, OmegaConfBaseException) or not isinstance(cause.parent_node, DictConfig):
        return ""
    known, name = [str(key) for key in cause.parent_node], str(cause.key)
    if not known:
        return ""
    group = str(cause.full_key).removesuffix(name)
    if near := difflib.get_close_matches(name, known, n=1):
        return f"\nDid you mean {group}{near[0]}?"
    names = ", ".join(name for name in known if not name.startswith("_"))
    return f"\n{group.rstrip('.') or 'The configuration'} has {names}."


@contextmanager
def _loader(config_dir: str | Path, extra_dir: str | None) -> Iterator[Any]:
    """Hydra with the search path of train.py, which composes and does nothing else."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra

    search_path = create_config_search_path(str(config_dir))
    if extra_dir is not None:
        search_path.prepend("command-line", f"file://{Path(extra_dir).absolute()}", SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2("train", search_path)
    finally:
        GlobalHydra.instance().clear()


def _parsed(overrides: list[str], loader: Any) -> list[Any]:
    """The options of a command line, each with its name and its value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create(config_loader=loader).parse_overrides(overrides)


def _search_paths(hydra: Any, config_name: str, overrides: list[str]) -> list[Any]:
    """Every ``hydra.searchpath`` that Hydra would follow, which it does while it composes: it must be known before."""
    from omegaconf import OmegaConf

    found = [one.value() for one in _parsed(overrides, hydra.config_loader) if one.key_or_group == "hydra.searchpath"]
    primary = hydra.config_loader.repository.load_config(config_path=config_name)
    if primary is not None:
        plain = OmegaConf.to_container(primary.config, resolve=False)
        tree = plain.get("hydra") if isinstance(plain, dict) else None
        found += [tree["searchpath"]] if isinstance(tree, dict) and "searchpath" in tree else []
    return [entries for entries in found if entries is not None]


def _jobs(overrides: list[str], loader: Any) -> list[list[str]]:
    """Overrides of the multirun as a whole, and of each job that may read other files than the others.

    Values that are swept over count once. Hydra itself refuses to sweep over its own options.
    """
    fixed, choices = [], []
    for one in _parsed(overrides, loader):
        if not one.is_sweep_override():
            fixed.append(one.input_line or "")
            continue
        values = [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        choices.append(values if loader.get_group_options(one.key_or_group) else values[:1])
    jobs = [[*fixed, *job] for job in itertools.product(*choices)]
    return [fixed, *jobs] if choices else jobs


def _compose(hydra: Any, name: str, overrides: list[str]) -> Any:
    from hydra.types import RunMode

    return hydra.compose_config(
        config_name=name, overrides=overrides, run_mode=RunMode.RUN, from_shell=False, with_log_configuration=False
    )


def _plain(config: Any, is_multirun: bool) -> dict[str, Any]:
    """The program's part of a configuration as plain values, with what only Hydra's run would fill in."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf, open_dict, read_write

    before = HydraConfig.instance().cfg
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.job.num, config.hydra.job.id = 0, "0"
    HydraConfig.instance().set_config(config)
    try:
        run, sweep = config.hydra.run, config.hydra.sweep
        output_dir = str(Path(sweep.dir, sweep.subdir)) if is_multirun else run.dir
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.runtime.output_dir = output_dir
        HydraConfig.instance().set_config(config)  # it keeps a copy
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        return cast("dict[str, Any]", OmegaConf.to_container(own, resolve=True, throw_on_missing=True))
    finally:
        HydraConfig.instance().cfg = before
