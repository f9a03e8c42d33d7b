from .build import (
    MANIFEST as MANIFEST,
    Build as Build,
    check_room as check_room,
    corpora_fingerprint as corpora_fingerprint,
    read_source as read_source,
)
from .checksums import file_checksum as file_checksum, with_checksums as with_checksums
from .collate import (
    Batch as Batch,
    Collator as Collator,
    InputBatch as InputBatch,
    InputCollator as InputCollator,
    Inputs as Inputs,
    ModalityInput as ModalityInput,
    inputs_on as inputs_on,
)
from .corpora import (
    CORPORA as CORPORA,
    EMOTIONS as EMOTIONS,
    KEMD as KEMD,
    KEMDY19 as KEMDY19,
    KEMDY20 as KEMDY20,
    N_FOLDS as N_FOLDS,
    N_RATERS as N_RATERS,
    SYNTHETIC_NOTE as SYNTHETIC_NOTE,
    VA_MAX as VA_MAX,
    VA_MIN as VA_MIN,
    Corpus as Corpus,
    find_folder as find_folder,
    is_synthetic as is_synthetic,
    label_space_of as label_space_of,
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
    split_partition as split_partition,
)
from .heart_beats import Beats as Beats, heart_rate as heart_rate
from .kemdy import read_annotations as read_annotations
from .media import (
    MIN_SAMPLES as MIN_SAMPLES,
    SAMPLE_RATE as SAMPLE_RATE,
    MediaError as MediaError,
    TranscriptKind as TranscriptKind,
    check_length as check_length,
    clean_transcript as clean_transcript,
    read_transcript as read_transcript,
    read_waveform as read_waveform,
    resample as resample,
    to_int16 as to_int16,
)
from .options import (
    Exclude as Exclude,
    SignalForm as SignalForm,
    check_choice as check_choice,
    check_num_proc as check_num_proc,
)
from .sampler import LengthBucketSampler as LengthBucketSampler
from .scripts import script_shares as script_shares
from .segment_build import (
    SegmentBuild as SegmentBuild,
    folds_fingerprint as folds_fingerprint,
    read_audio as read_audio,
    with_audio_checksums as with_audio_checksums,
    write_folds as write_folds,
)
from .segment_list import (
    SegmentList as SegmentList,
    SegmentListOptions as SegmentListOptions,
    make_segment_list_options as make_segment_list_options,
    missing_audio as missing_audio,
    read_segment_list as read_segment_list,
)
from .segments import Annotations as Annotations, BadSegment as BadSegment, Note as Note
from .signal_build import (
    COLUMN_OF as COLUMN_OF,
    SignalBuild as SignalBuild,
    signal_notes as signal_notes,
    unusable_signals as unusable_signals,
)
from .signal_features import (
    FEATURES as FEATURES,
    SIGNAL_OF_FEATURE as SIGNAL_OF_FEATURE,
    dialogue_beats as dialogue_beats,
    dialogue_interval as dialogue_interval,
    segment_interval as segment_interval,
)
from .signal_files import (
    KINDS as KINDS,
    SIGNALS as SIGNALS,
    Recording as Recording,
    Signal as Signal,
    read_recording as read_recording,
    signal_path as signal_path,
)
from .signal_sequences import SEQUENCE_RATE as SEQUENCE_RATE, SEQUENCE_SECONDS as SEQUENCE_SECONDS
from .sound_cuts import (
    END_TOLERANCE as END_TOLERANCE,
    Cut as Cut,
    check_rate as check_rate,
    iter_cuts as iter_cuts,
    read_cuts as read_cuts,
    sound_header as sound_header,
)
from .source_files import Boundary as Boundary
from .table_files import TableError as TableError
