"""Rules of a run's networks: one encoder or several, and what only an encoder can have."""

from collections.abc import Mapping, Sequence
from typing import Any

from otcondense.encoders.encoder_config import SEEN_FIELDS, EncoderConfig


def with_first_encoder(values: Any) -> Any:
    """Return settings in which `encoder` is the first of `encoders`, if there are several.

    A name alone stands for an encoder of this name. `encoder: null` counts as left out, so that a
    configuration that others build on can be given several encoders, or features.
    """
    if not isinstance(values, Mapping):
        return values
    if values.get("encoder") is None:
        values = {name: each for name, each in values.items() if name != "encoder"}
    if not values.get("encoders"):
        return values
    several = values["encoders"]
    if not isinstance(several, (list, tuple)):
        return values
    named = [{"name": each} if isinstance(each, str) else each for each in several]
    return {"encoder": named[0], **values, "encoders": named}


def check_encoders(encoder: EncoderConfig, several: Sequence[EncoderConfig]) -> None:
    """Refuse `encoder` together with `encoders`, an encoder twice, and a weight without others.

    Raises: ValueError.
    """
    if not several:
        if encoder.weight != 1:
            raise ValueError(
                f"encoder.weight needs several encoders, found {encoder.weight:g} for one; list "
                "them in encoders, or leave it out"
            )
        return
    if encoder != several[0]:
        raise ValueError(
            f"encoder and encoders are both given ({encoder.name}; "
            f"{', '.join(each.name for each in several)}); leave encoder out, or set encoder=null"
        )
    stored = [each.model_dump_json(exclude=set(SEEN_FIELDS)) for each in several]
    for place, each in enumerate(several):
        if stored[place] in stored[:place]:
            raise ValueError(
                f"encoders must differ, found {each.name} twice with the same settings; raise its "
                "weight instead"
            )


def unused_for_given(encoder: EncoderConfig) -> list[str]:
    """Return the settings of a network that say nothing of features that are given.

    How the selection sees features is set for given ones too. A shared configuration may have an
    encoder for other sources, so that these settings are no mistake.
    """
    plain = EncoderConfig()
    names = [name for name in EncoderConfig.model_fields if name not in SEEN_FIELDS]
    return [name for name in names if getattr(encoder, name) != getattr(plain, name)]


def check_others(others: Mapping[str, EncoderConfig]) -> None:
    """Refuse settings of the selection's distances for networks that it does not see.

    Args:
        others: judges and classifiers, by the name of their setting.

    Raises: ValueError.
    """
    for name, each in others.items():
        for field, default in SEEN_FIELDS.items():
            if getattr(each, field) != default:
                raise ValueError(
                    f"{name}.{field} must be {default}, found {getattr(each, field)}: only the "
                    "selection's encoders have it; metrics use features as they are stored"
                )
