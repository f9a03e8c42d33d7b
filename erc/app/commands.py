"""``python -m erc app``: the page of a model."""

from __future__ import annotations

import importlib.util
import os
import socket
import tempfile
from pathlib import Path

from erc.app.limits import Limits
from erc.app.texts import words


def app(
    model: str,
    port: int = 7860,
    language: str = "en",
    transcriber: str | None = None,
    max_mb: float = 25.0,
    max_seconds: float = 120.0,
    device: str | None = None,
) -> None:
    """Shows a page at 127.0.0.1 to try a model: record or upload speech, type the words, see what the model says and why.

    Nothing leaves this machine. Uploads lie in a temporary folder, and are deleted after ten minutes and at the end. Ctrl-C
    ends the program.

    Args:
        model: Folder of a finished run, a saved model, or a row of a grid; several are joined by commas and averaged.
        port: Of the page.
        language: ``en`` or ``ko``.
        transcriber: Hub id or directory of a recogniser, for speech whose words are not typed.
        max_mb: Largest upload, in megabytes.
        max_seconds: Longest recording.
        device: As torch names it.

    Raises:
        FileNotFoundError: There is no such model.
        ImportError: Gradio is not installed.
        OSError: The port is taken.
    """
    texts = words(language)
    if not (0 < max_mb <= 1000 and 0 < max_seconds <= 3600):
        raise ValueError(
            f"An upload is bounded: expected --max_mb in (0, 1000] and --max_seconds in (0, 3600], got {max_mb} and {max_seconds}."
        )
    if importlib.util.find_spec("gradio") is None:
        raise ImportError("The page needs Gradio, which is optional. Install it: pip install 'gradio>=6.29'")
    _check_port(port)
    with tempfile.TemporaryDirectory(prefix="erc-app-") as folder:
        # before gradio is imported: where uploads lie; no statistics are sent, no version is asked for
        os.environ |= {"GRADIO_TEMP_DIR": f"{folder}/uploads", "GRADIO_ANALYTICS_ENABLED": "False"}
        from erc.app.page import build_page
        from erc.app.server import HOST, serve
        from erc.inference import Predictor, split_names
        from erc.synthetic import write_examples

        paths = split_names(model)
        predictor = Predictor.from_pretrained(paths, transcriber, device)
        limits = Limits(max_mb, max_seconds)
        page = build_page(predictor, Path(paths[0]).name, texts, limits, write_examples(folder))
        print(f"The page is at http://{HOST}:{port} (this machine only). Ctrl-C ends it.", flush=True)
        serve(page, limits, port)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError, TypeError) as err:
            raise OSError(
                f"The page needs a free port: {port} cannot be used ({err}). Choose another one: --port={7861 if port == 7860 else 7860}"
            ) from err
