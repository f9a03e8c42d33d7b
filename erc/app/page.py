"""The page, and what its buttons do. A mistake is told in words; nothing is stored but the upload itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gradio as gr

from erc.app.limits import Limits, UploadError, check_upload
from erc.app.pictures import over_time, plane
from erc.inference import Predictor

SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "sans-serif"]
"""No font is fetched from anywhere."""

KEPT_SECONDS = 600
"""An upload is deleted after so long."""


class Answers:
    """What the page says of an upload.

    Args:
        predictor: The model.
        words: Of the page's language.
        limits: Of uploads.
    """

    def __init__(self, predictor: Predictor, words: dict[str, str], limits: Limits) -> None:
        self._predictor, self._words, self._limits = predictor, words, limits
        self.reads_audio = "audio" in predictor.modalities or predictor.transcriber is not None
        self.reads_text = "text" in predictor.modalities
        self.has_parts = len(predictor.modalities) > 1
        self.centroids: dict[str, list[float]] = predictor.training.get("centroids") or {}

    def __call__(self, audio: str | None, text: str | None) -> tuple[Any, ...]:
        """Values of the page's outputs: emotions, figures and notes, plane, what carried it (a sentence, a table), emotions over time.

        Raises:
            gr.Error: The upload or the words cannot be used; its text says why.
        """
        try:
            given = (text or "").strip() or None
            needs_sound = "audio" in self._predictor.modalities or given is None
            path = check_upload(audio, self._limits, self._words) if self.reads_audio and needs_sound else None
            if self.reads_text and given is None and self._predictor.transcriber is None:
                raise UploadError(self._words["no_text"])
            answer = self._predictor(path, given, return_contributions=self.has_parts)
        except UploadError as err:
            raise gr.Error(str(err), duration=None, print_exception=False) from err
        except (ValueError, OSError) as err:
            raise gr.Error(self._words["not_sound"].format(problem=err), duration=None, print_exception=False) from err
        space = self._predictor.label_space
        has_windows = len(answer.get("windows", [])) > 1
        return (
            {one["label"]: one["score"] for one in answer["emotions"]},
            self._figures(answer),
            plane(answer, space, self.centroids) if space.has_plane else None,
            self._carried(answer),
            self._rows(answer),
            gr.update(value=over_time(answer, self._words) if has_windows else None, visible=has_windows),
        )

    def _figures(self, answer: dict[str, Any]) -> str:
        """Dimensions, entropy, words that were heard, and notes, as Markdown."""
        space, words = self._predictor.label_space, self._words
        lines = [
            words["scale"].format(name=name, value=answer[name], low=space.scale[0], high=space.scale[1])
            for name in space.dimensions
            if space.scale is not None
        ]
        lines.append(words["entropy"].format(value=answer["entropy"], most=math.log(space.n_emotions)))
        if answer.get("transcript_source") == "asr":
            lines.append(words["heard"].format(text=_escaped(answer["text"]) or words["nothing_heard"]))
        lines += [f"*{_escaped(note)}*" for note in answer["notes"]]
        return "\n\n".join(lines)

    def _carried(self, answer: dict[str, Any]) -> str:
        """A sentence for each modality, on how the likeliest emotion changes without it."""
        best = answer["emotions"][0]
        lines = []
        for modality, added in answer.get("contributions", {}).items():
            change = "falls" if added["score"] > 0 else "rises"
            words = {"label": _escaped(best["label"]), "before": best["score"], "after": best["score"] - added["score"]}
            lines.append(self._words[f"{change}_without_{modality}"].format(**words))
        return "\n\n".join(lines)

    def _rows(self, answer: dict[str, Any]) -> list[list[Any]]:
        """A row for the whole, then one for each modality with the changes without it."""
        if "contributions" not in answer:
            return []
        best, dimensions = answer["emotions"][0], self._predictor.label_space.dimensions
        whole = [self._words["both"], f"{best['score']:.2f}", *(f"{answer[name]:.2f}" for name in dimensions)]
        changes = [
            [self._words[f"without_{modality}"], *(f"{-added[name]:+.2f}" for name in ("score", *dimensions))]
            for modality, added in answer["contributions"].items()
        ]
        return [whole, *changes]


def _escaped(text: str) -> str:
    """Text whose marks mean nothing in Markdown or HTML."""
    marks = "\\`*_{}[]()<>#+-.!|&~$"
    return "".join(f"\\{character}" if character in marks else character for character in text)


def build_page(
    predictor: Predictor,
    name: str,
    words: dict[str, str],
    limits: Limits,
    examples: list[tuple[Path, str]] | None = None,
) -> gr.Blocks:
    """The page of a model.

    Args:
        predictor: The model.
        name: What the page calls it.
        words: Of the page's language; see ``words`` of texts.py.
        limits: Of uploads.
        examples: Sound files and their words, offered to click on.
    """
    answers = Answers(predictor, words, limits)
    space = predictor.label_space
    with gr.Blocks(
        title=words["title"], analytics_enabled=False, delete_cache=(60, KEPT_SECONDS), fill_width=False
    ) as page:
        gr.Markdown(f"# {words['title']}\n\n{_about(predictor, name, words)}")
        with gr.Row():
            with gr.Column():
                audio = gr.Audio(
                    label=words["audio"],
                    sources=["microphone", "upload"],
                    type="filepath",
                    buttons=["download"],  # no button that shares it
                    visible=answers.reads_audio,
                    elem_id="audio",
                )
                text = gr.Textbox(
                    label=words["text"],
                    info=words["hear" if predictor.transcriber else "type"],
                    lines=3,
                    max_length=2000,
                    visible=answers.reads_text,
                    elem_id="text",
                )
                with gr.Row():
                    clear = gr.Button(words["clear"])
                    predict = gr.Button(words["predict"], variant="primary", elem_id="predict")
                if examples:
                    gr.Examples(
                        [[str(path), said] for path, said in examples],
                        [audio, text],
                        label=words["examples"],
                        cache_examples=False,
                    )
            with gr.Column():
                emotions = gr.Label(
                    label=words["emotions"], num_top_classes=min(10, space.n_emotions), elem_id="emotions"
                )
                figures = gr.Markdown(elem_id="figures")
                place = gr.Plot(label=words["plane"], visible=space.has_plane, elem_id="plane")
                if space.has_plane and answers.centroids:
                    gr.Markdown(words["plane_about"])
                if answers.has_parts:
                    gr.Markdown(f"### {words['carried']}\n\n{words['carried_about']}")
                sentence = gr.Markdown(visible=answers.has_parts, elem_id="sentence")
                carried = gr.Dataframe(
                    headers=[words["input"], words["score"], *space.dimensions],
                    interactive=False,
                    buttons=[],
                    visible=answers.has_parts,
                    elem_id="carried",
                )
                time = gr.Plot(label=words["time"], visible=False, elem_id="time")
        outputs = [emotions, figures, place, sentence, carried, time]
        predict.click(answers, [audio, text], outputs, concurrency_limit=1, api_visibility="private")
        clear.click(lambda: [None] * 8, None, [audio, text, *outputs], api_visibility="private")
    return page


def _about(predictor: Predictor, name: str, words: dict[str, str]) -> str:
    corpora = _escaped(", ".join(predictor.training.get("corpora") or [])) or "?"
    text = words["about"].format(name=_escaped(name), modalities=" + ".join(predictor.modalities), corpora=corpora)
    return f"{text}\n\n{words['synthetic']}" if predictor.training.get("is_synthetic") else text


def theme() -> gr.Theme:
    """A plain theme in the system's own fonts."""
    return gr.themes.Default(font=SYSTEM_FONTS, font_mono=["ui-monospace", "monospace"])
