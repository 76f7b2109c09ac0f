"""Rows about reading images and features."""

from benchmarks.rows.row import Row

RECORDS = "a Python record for each row"


def _decoding(size: str) -> Row:
    return Row(
        f"decode and resize a JPEG of {size.replace('x', ' x ')}, CPU time",
        f"new_cpu_ms_{size}",
        "ms",
        "timm's transform",
        f"old_cpu_ms_{size}",
        f"cpu_ratio_{size}",
        "times faster",
    )


DECODING = (
    _decoding("500x375"),
    _decoding("1280x960"),
    Row(
        "rate against torchvision and torch alone, without checks",
        versus="bare decoding",
        ratio="bare_ratio_500x375 bare_ratio_1280x960",
        ratio_unit="times its rate",
    ),
    Row(
        "largest difference of a pixel, of 255 levels",
        "pixel_difference_max",
        "",
        "timm's transform",
    ),
    Row("mean difference of a pixel", "pixel_difference_mean", "", "timm's transform"),
    Row(
        "change of the features",
        versus="mean distance of two images",
        ratio="feature_shift",
        ratio_unit="of it",
    ),
)
LISTING = (
    Row(
        "list 1 million rows of Parquet, CPU time",
        "parquet_seconds",
        "s",
        RECORDS,
        "parquet_records_seconds",
        "less_time",
        "times faster",
    ),
    Row(
        "memory that this listing keeps",
        "parquet_kept",
        "MB",
        RECORDS,
        "parquet_records_kept",
        "less_memory",
        "times less",
    ),
    Row("its peak memory", "parquet_peak", "MB", RECORDS, "parquet_records_peak"),
    Row("14 million made-up rows, kept for each million", "made_up_kept_per_million", "MB"),
    Row("the same at the peak", "made_up_peak_per_million", "MB"),
)
READING = (
    *(
        Row(
            f"bytes read for each byte of a source, {name}",
            f"{kind}_read_per_byte",
            "",
            "class by class",
            f"{kind}_class_by_class_read_per_byte",
        )
        for name, kind in (("folder", "folder"), ("Parquet", "parquet"), ("tar", "tar"))
    ),
    Row("read the features of one class", "read_class_ms", "ms"),
)
EXTRACTION = (
    Row(
        "extract features, bound by the network, start of Ray included",
        "model_bound_here_images_per_s",
        "images/s",
        "a plain DataLoader loop",
        "model_bound_plain_images_per_s",
        "model_bound_ratio_with_start",
        "times its rate",
    ),
    Row(
        "extract features, bound by decoding, start of Ray included",
        "decode_bound_here_images_per_s",
        "images/s",
        "a plain DataLoader loop",
        "decode_bound_plain_images_per_s",
        "decode_bound_ratio_with_start",
        "times its rate",
    ),
    Row("growth of the driver's memory", "driver_growth_MiB", "MiB"),
    Row("recognise finished work", "recognise_s", "s"),
)
