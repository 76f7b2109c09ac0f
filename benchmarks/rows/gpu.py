"""Rows about one GPU."""

from benchmarks.rows.row import Row


def _training_on_gpu(name: str, batch: int) -> Row:
    case = f"training/{name}_256_batch_{batch}_compiled_bfloat16"
    return _of_peak(f"train {name} at 256 pixels, batch {batch}", case, "images_per_s")


def _sampling_on_gpu(name: str, batch: int) -> Row:
    case = f"sampling/{name}_256_batch_{batch}_compiled_guided"
    return _of_peak(f"sample {name}, 250 guided steps", case, "images_per_s_at_250_steps")


def _of_peak(what: str, case: str, rate: str) -> Row:
    return Row(
        what,
        f"{case}/{rate}",
        "images/s",
        "rate of large bfloat16 products",
        ratio=f"{case}/peak_share",
        ratio_unit="of it",
    )


def _encoder_on_gpu(words: str, name: str) -> Row:
    return Row(
        f"encode with {words}, images from host memory",
        f"encoders/{name}/from_host_images_per_s",
        "images/s",
        "images on the GPU already",
        f"encoders/{name}/resident_images_per_s",
        f"encoders/{name}/from_host_ratio",
        "times its rate",
    )


def _metric_on_gpu(words: str, name: str) -> Row:
    return Row(f"{words} of 50,000 images", f"metrics/{name}/seconds", "s")


GPU = (
    _training_on_gpu("DiT-L/2", 128),
    _training_on_gpu("SiT-L/2", 128),
    _training_on_gpu("DiT-XL/2", 96),
    _sampling_on_gpu("SiT-L/2", 128),
    _encoder_on_gpu("DINOv2-L/14 in bfloat16", "dinov2-l14_bfloat16"),
    _encoder_on_gpu("Inception-v3 in bfloat16", "inception-v3_bfloat16"),
    _metric_on_gpu("Fréchet distance", "frechet"),
    _metric_on_gpu("kernel distance", "kernel"),
    _metric_on_gpu("precision and recall", "precision_recall"),
    _metric_on_gpu("density and coverage", "density_coverage"),
    Row(
        "choose 10 of 1,300 images, no bound",
        "selection/budget_10_device/seconds",
        "s",
        "one CPU core",
        "selection/budget_10_cpu/seconds",
    ),
    Row("cases that failed", "failed_cases"),
)
