from .build import (
    MANIFEST as MANIFEST,
    Build as Build,
    corpora_fingerprint as corpora_fingerprint,
    read_source as read_source,
)
from .collate import (
    Batch as Batch,
    Collator as Collator,
    InputBatch as InputBatch,
    InputCollator as InputCollator,
    Inputs as Inputs,
    ModalityInput as ModalityInput,
)
from .corpora import (
    CORPORA as CORPORA,
    KEMDY19 as KEMDY19,
    KEMDY20 as KEMDY20,
    N_FOLDS as N_FOLDS,
    SYNTHETIC_NOTE as SYNTHETIC_NOTE,
    Corpus as Corpus,
    find_folder as find_folder,
    is_synthetic as is_synthetic,
    parse_dataset_name as parse_dataset_name,
    sessions_text as sessions_text,
)
from .folds import (
    NO_SPLIT as NO_SPLIT,
    Mode as Mode,
    Protocol as Protocol,
    assign_folds as assign_folds,
    check_split as check_split,
    split as split,
)
from .kemdy import read_annotations as read_annotations
from .media import (
    SAMPLE_RATE as SAMPLE_RATE,
    MediaError as MediaError,
    TranscriptKind as TranscriptKind,
    check_length as check_length,
    clean_transcript as clean_transcript,
    read_transcript as read_transcript,
    read_waveform as read_waveform,
)
from .options import Exclude as Exclude, check_choice as check_choice, check_num_proc as check_num_proc
from .sampler import LengthBucketSampler as LengthBucketSampler
from .segments import Annotations as Annotations, BadSegment as BadSegment, Note as Note
