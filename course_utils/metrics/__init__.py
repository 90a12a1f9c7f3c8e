"""How good are generated images? Pure functions of features and of a classifier's probabilities.

Features are float (N, d), one row an image; which network they come from is the caller's choice
(`features.feature_extractor` offers two). What is summed over images is summed in float64.
"""

from course_utils.metrics.anomaly import auroc
from course_utils.metrics.frechet import FeatureStatistics, fid, frechet_distance
from course_utils.metrics.inception import inception_score
from course_utils.metrics.kernel import kernel_inception_distance
from course_utils.metrics.manifold import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from course_utils.metrics.paths import PathLength, perceptual_path_length
from course_utils.metrics.score import Score

__all__ = [
    "DensityCoverage", "FeatureStatistics", "PathLength", "PrecisionRecall", "Score",
    "auroc", "density_coverage", "fid", "frechet_distance", "inception_score", "kernel_inception_distance",
    "perceptual_path_length", "precision_recall",
]  # fmt: skip
