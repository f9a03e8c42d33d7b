"""The commands: ``python -m erc convert NAME --root=FOLDER``."""

from __future__ import annotations

from erc.convert.crema_d_rows import read_crema_d
from erc.convert.emodb_rows import read_emodb
from erc.convert.iemocap_rows import read_iemocap
from erc.convert.meld_rows import extract_audio, read_meld
from erc.convert.msp_podcast_rows import read_msp_podcast
from erc.convert.ravdess_rows import read_ravdess
from erc.convert.segments_file import corpus_folder, write_segments


def crema_d(root: str, out: str | None = None, check_audio: bool = True) -> None:
    """CREMA-D, votes of 4 to 12 raters on the voice.

    Args:
        root: Folder of the corpus.
        out: Table to write; segments.csv in the corpus's folder unless stated.
        check_audio: Whether a segment without its audio file is a mistake.
    """
    folder = corpus_folder(root)
    write_segments(read_crema_d(folder), folder, out, check_audio, corpus="crema_d")


def emodb(root: str, out: str | None = None) -> None:
    """EmoDB, German; the label is in the file's name.

    Args:
        root: Folder of the corpus, with wav/.
        out: Table to write; segments.csv in the corpus's folder unless stated.
    """
    folder = corpus_folder(root)
    write_segments(read_emodb(folder), folder, out, check_audio=True, corpus="emodb")


def ravdess(root: str, out: str | None = None) -> None:
    """RAVDESS, speech; the label is in the file's name.

    Args:
        root: Folder of the corpus, with Actor_01/ to Actor_24/.
        out: Table to write; segments.csv in the corpus's folder unless stated.
    """
    folder = corpus_folder(root)
    write_segments(read_ravdess(folder), folder, out, check_audio=True, corpus="ravdess")


def iemocap(root: str, out: str | None = None, four_classes: bool = False, check_audio: bool = True) -> None:
    """IEMOCAP, votes of three raters, valence, arousal and dominance.

    Args:
        root: Folder of the corpus, with Session1/ to Session5/.
        out: Table to write; segments.csv in the corpus's folder unless stated.
        four_classes: Whether to keep anger, happiness (with excitement), sadness and neutral only.
        check_audio: Whether a segment without its audio file is a mistake.
    """
    folder = corpus_folder(root)
    write_segments(read_iemocap(folder, four_classes), folder, out, check_audio, corpus="iemocap")


def meld(root: str, out: str | None = None, check_audio: bool = True, num_proc: int = 1) -> None:
    """MELD; one label an utterance, and the official partition, which shares speakers. ffmpeg takes the audio out of the videos.

    Args:
        root: Folder of the corpus, with train_sent_emo.csv and train_splits/.
        out: Table to write; segments.csv in the corpus's folder unless stated.
        check_audio: Whether a segment without its audio file is a mistake. With no, nothing is taken out of the videos.
        num_proc: Videos at a time.
    """
    folder = corpus_folder(root)
    found = read_meld(folder)
    if check_audio:
        found.stop_at_mistakes()  # before work of an hour
        extract_audio(found, folder, num_proc)
        found.stop_at_mistakes()
    write_segments(found, folder, out, check_audio, corpus="meld")


def msp_podcast(root: str, out: str | None = None, test: str = "Test1", check_audio: bool = True) -> None:
    """MSP-Podcast, votes of five raters or more, valence, arousal and dominance on 1 to 7.

    Args:
        root: Folder of the corpus, with Labels/ and Audios/.
        out: Table to write; segments.csv in the corpus's folder unless stated.
        test: Partition that is reported: Test1 or Test2. The other one is left out.
        check_audio: Whether a segment without its audio file is a mistake.
    """
    folder = corpus_folder(root)
    write_segments(read_msp_podcast(folder, test), folder, out, check_audio, corpus="msp_podcast")
