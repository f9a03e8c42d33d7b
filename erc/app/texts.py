"""Every word of the page, in English and Korean."""

from __future__ import annotations

LANGUAGES = ("en", "ko")

TEXTS: dict[str, dict[str, str]] = {
    "title": {"en": "Emotion in speech and words", "ko": "말소리와 말의 감정"},
    "about": {
        "en": "Model: **{name}** ({modalities}). Trained on {corpora}. A model's answer is a guess about speech, and no finding about a "
        "person. Your recording stays on this machine: it lies in a temporary folder, is deleted after ten minutes, and at "
        "the latest when the program ends.",
        "ko": "모델: **{name}** ({modalities}). 학습 자료: {corpora}. 모델의 답은 말에 대한 추측이며, 사람에 대한 판단이 아닙니다. "
        "녹음은 이 컴퓨터를 떠나지 않습니다. 임시 폴더에 저장되고 10분 뒤에, 늦어도 프로그램이 끝날 때 삭제됩니다.",
    },
    "synthetic": {
        "en": "**This model was trained on synthetic speech. It shows how the page works, and says nothing about people.**",
        "ko": "**이 모델은 합성 음성으로 학습했습니다. 화면이 어떻게 작동하는지 보여 줄 뿐, 사람에 대해서는 아무것도 말하지 않습니다.**",
    },
    "audio": {"en": "Speech: record it, or choose a file", "ko": "말소리: 녹음하거나 파일을 고르세요"},
    "text": {"en": "What is said", "ko": "말한 내용"},
    "hear": {"en": "Leave it empty, and a recogniser hears the words.", "ko": "비워 두면 음성 인식기가 받아씁니다."},
    "type": {"en": "The model reads the words, too: type them.", "ko": "모델은 말한 내용도 읽습니다. 적어 주세요."},
    "predict": {"en": "Predict", "ko": "예측"},
    "clear": {"en": "Clear", "ko": "지우기"},
    "emotions": {"en": "Emotions", "ko": "감정"},
    "plane": {"en": "Place in the valence-arousal plane", "ko": "정서가-각성가 평면의 위치"},
    "plane_about": {
        "en": "The cross is this speech. Each name stands at the mean of the training segments that raters gave it.",
        "ko": "십자가 이 말의 위치입니다. 감정 이름은 평가자들이 그 감정을 준 학습 발화들의 평균 위치입니다.",
    },
    "carried": {"en": "What carried it", "ko": "무엇이 답을 이끌었나"},
    "carried_about": {
        "en": "How the answer changes when the sound or the words are removed: the model then reads in their place what it reads where "
        "a segment lacks them. A model that has not learned to do without them may change more than it should.",
        "ko": "말소리나 말한 내용을 빼면 답이 어떻게 달라지는지 보여 줍니다. 모델은 그 자리에 그것이 없는 발화에서 읽는 값을 읽습니다. "
        "없이 답하는 법을 배우지 않은 모델은 지나치게 달라질 수 있습니다.",
    },
    "falls_without_audio": {
        "en": "Without the **sound**, {label} falls from {before:.2f} to {after:.2f}.",
        "ko": "**말소리**를 빼면 {label}의 점수가 {before:.2f}에서 {after:.2f}로 내려갑니다.",
    },
    "rises_without_audio": {
        "en": "Without the **sound**, {label} does not fall: from {before:.2f} to {after:.2f}.",
        "ko": "**말소리**를 빼도 {label}의 점수는 내려가지 않습니다: {before:.2f}에서 {after:.2f}.",
    },
    "falls_without_text": {
        "en": "Without the **words**, {label} falls from {before:.2f} to {after:.2f}.",
        "ko": "**말한 내용**을 빼면 {label}의 점수가 {before:.2f}에서 {after:.2f}로 내려갑니다.",
    },
    "rises_without_text": {
        "en": "Without the **words**, {label} does not fall: from {before:.2f} to {after:.2f}.",
        "ko": "**말한 내용**을 빼도 {label}의 점수는 내려가지 않습니다: {before:.2f}에서 {after:.2f}.",
    },
    "both": {"en": "sound and words", "ko": "말소리와 말한 내용"},
    "without_audio": {"en": "without the sound", "ko": "말소리 없이"},
    "without_text": {"en": "without the words", "ko": "말한 내용 없이"},
    "input": {"en": "input", "ko": "입력"},
    "score": {"en": "score", "ko": "점수"},
    "time": {"en": "Emotions over time", "ko": "시간에 따른 감정"},
    "seconds": {"en": "seconds", "ko": "초"},
    "entropy": {
        "en": "entropy {value:.2f} of at most {most:.2f} nats (0: certain; the most: the model cannot tell)",
        "ko": "엔트로피 {value:.2f} / 최대 {most:.2f} 내트 (0: 확신, 최대: 알 수 없음)",
    },
    "scale": {
        "en": "{name} **{value:.2f}** on a scale from {low:g} to {high:g}",
        "ko": "{name} **{value:.2f}** ({low:g}–{high:g})",
    },
    "heard": {"en": "Heard: {text}", "ko": "받아쓴 내용: {text}"},
    "nothing_heard": {"en": "(nothing)", "ko": "(없음)"},
    "examples": {"en": "Synthetic examples (invented voices)", "ko": "합성 예시 (지어낸 목소리)"},
    "no_audio": {"en": "Record some speech or choose a file first.", "ko": "먼저 녹음하거나 파일을 고르세요."},
    "no_text": {
        "en": "Type what is said: this model reads the words, too.",
        "ko": "말한 내용을 적어 주세요. 이 모델은 글도 읽습니다.",
    },
    "too_large": {
        "en": "The file is too large: at most {most:g} MB are expected, it has {got:.1f} MB. Choose a shorter recording.",
        "ko": "파일이 너무 큽니다. 최대 {most:g} MB까지 받는데 {got:.1f} MB입니다. 더 짧은 녹음을 고르세요.",
    },
    "too_long": {
        "en": "The recording is too long: at most {most:g} s are expected, it has {got:.0f} s. Cut it, or use python -m erc predict file.",
        "ko": "녹음이 너무 깁니다. 최대 {most:g}초까지 받는데 {got:.0f}초입니다. 자르거나 python -m erc predict file을 쓰세요.",
    },
    "not_sound": {
        "en": "The file cannot be read as sound: {problem}. Choose a wav, flac, ogg or mp3 file.",
        "ko": "파일을 소리로 읽을 수 없습니다: {problem}. wav, flac, ogg, mp3 파일을 고르세요.",
    },
}
"""By name and language; words in braces are filled in."""


def words(language: str) -> dict[str, str]:
    """The words of one language.

    Raises:
        ValueError: The page has no such language.
    """
    if language not in LANGUAGES:
        raise ValueError(
            f"The page is in English or Korean: expected --language={' or '.join(LANGUAGES)}, got {language!r}."
        )
    return {name: each[language] for name, each in TEXTS.items()}
