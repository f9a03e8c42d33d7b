from .allocator import keep_freed_memory as keep_freed_memory
from .assembly import (
    check_signals as check_signals,
    load_processors as load_processors,
    make_views as make_views,
    write_missing_corpora as write_missing_corpora,
)
from .checkpoints import (
    AtomicCheckpointIO as AtomicCheckpointIO,
    RunCheckpoint as RunCheckpoint,
    read_checkpoint as read_checkpoint,
)
from .classical import EgemapsSVM as EgemapsSVM
from .facts import training_facts as training_facts
from .frozen_weights import complete as complete
from .grid_identity import (
    GRID as GRID,
    GridIdentity as GridIdentity,
    cells_in as cells_in,
    grid_refusal as grid_refusal,
    mixture as mixture,
    name_of as name_of,
    read_grid as read_grid,
)
from .history import EpochHistory as EpochHistory
from .identity import (
    Identity as Identity,
    changed_files as changed_files,
    identify as identify,
    option_differences as option_differences,
    without_ignored as without_ignored,
)
from .lightning_module import EmotionModule as EmotionModule
from .loaders import SegmentData as SegmentData, make_loader as make_loader
from .losses import (
    CCCLoss as CCCLoss,
    FocalLoss as FocalLoss,
    KLLoss as KLLoss,
    MSELoss as MSELoss,
    MultitaskLoss as MultitaskLoss,
    SoftCrossEntropyLoss as SoftCrossEntropyLoss,
)
from .optim import (
    build_optimizer as build_optimizer,
    constant as constant,
    cosine_restarts as cosine_restarts,
    cosine_warmup as cosine_warmup,
    plateau as plateau,
)
from .precision import precision_of_run as precision_of_run
from .read_back import (
    ERROR as ERROR,
    epochs_done as epochs_done,
    error_of as error_of,
    finished_result as finished_result,
    open_view as open_view,
    read_config as read_config,
    read_identity as read_identity,
    read_result as read_result,
)
from .resuming import how_to_go_on as how_to_go_on, newest_unfinished as newest_unfinished
from .run import (
    peak_memory_mb as peak_memory_mb,
    quieten as quieten,
    set_threads as set_threads,
    train_fold as train_fold,
)
from .run_folder import (
    BEST as BEST,
    Status as Status,
    claimed as claimed,
    drop_checkpoints as drop_checkpoints,
    override_value as override_value,
    record_error as record_error,
    refusal as refusal,
    state_of as state_of,
)
from .scoring import score_again as score_again
from .untrained import UntrainedEmbeddings as UntrainedEmbeddings
