from .agreement import (
    Level as Level,
    alpha_of as alpha_of,
    coincidences as coincidences,
    correlation_summary as correlation_summary,
    kappa_of as kappa_of,
    rater_moments as rater_moments,
)
from .alignment import (
    MIN_SEGMENTS as MIN_SEGMENTS,
    Mantel as Mantel,
    MeanMantel as MeanMantel,
    as_same_length as as_same_length,
    mantel as mantel,
    mean_over_folds as mean_over_folds,
    present_emotions as present_emotions,
    relabelled as relabelled,
    tested as tested,
)
from .bootstrap import (
    Interval as Interval,
    Intervals as Intervals,
    cluster_bootstrap as cluster_bootstrap,
    cluster_intervals as cluster_intervals,
    f1_by_emotion_interval as f1_by_emotion_interval,
    paired_bootstrap as paired_bootstrap,
)
from .calibration import (
    fit_temperature as fit_temperature,
    scaled_calibration_error as scaled_calibration_error,
)
from .cluster_sums import (
    CONFUSION_METRICS as CONFUSION_METRICS,
    ClusterSums as ClusterSums,
    confusion_scores as confusion_scores,
    confusion_sums as confusion_sums,
    f1_by_emotion as f1_by_emotion,
    moment_sums as moment_sums,
)
from .distributions import (
    agreement_strata as agreement_strata,
    agreement_stratum as agreement_stratum,
    cross_entropy as cross_entropy,
    entropy_correlation as entropy_correlation,
    expected_calibration_error as expected_calibration_error,
    jensen_shannon_divergence as jensen_shannon_divergence,
    manhattan_distance as manhattan_distance,
    multilabel_macro_f1 as multilabel_macro_f1,
    soft_micro_f1 as soft_micro_f1,
)
from .half_of_raters import N_SPLITS as N_SPLITS, half_of_raters as half_of_raters
from .metrics import (
    auroc as auroc,
    concordance as concordance,
    evaluate as evaluate,
    majority_prediction as majority_prediction,
)
from .one_rater import rater_reference as rater_reference
from .over_folds import (
    corrected_resampled_t_test as corrected_resampled_t_test,
    holm as holm,
    holm_with_bounds as holm_with_bounds,
    mean_and_std as mean_and_std,
)
from .predictions import (
    Columns as Columns,
    evaluate_table as evaluate_table,
    make_result as make_result,
    predictions_table as predictions_table,
    summary_text as summary_text,
    truth_table as truth_table,
    write_embeddings as write_embeddings,
    write_fold as write_fold,
)
from .resampling import OverSeeds as OverSeeds
from .result_schema import SCHEMA as SCHEMA, OtherSchema as OtherSchema, check_result as check_result
from .stored import disagreement as disagreement, read_predictions as read_predictions
