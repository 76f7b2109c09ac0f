from .crop import adm_center_crop as adm_center_crop
from .image_model import ImageModel as ImageModel
from .latent_config import LatentConfig as LatentConfig
from .latents import LatentDecoder as LatentDecoder
from .latents import LatentModel as LatentModel
from .representation_config import REPRESENTATIONS_SCHEMA_VERSION as REPRESENTATIONS_SCHEMA_VERSION
from .representation_config import RepresentationConfig as RepresentationConfig
from .text import TextModel as TextModel
from .text_config import TextConfig as TextConfig
from .token_config import TokenConfig as TokenConfig
from .tokens import TokenModel as TokenModel

__all__ = [
    "REPRESENTATIONS_SCHEMA_VERSION",
    "ImageModel",
    "LatentConfig",
    "LatentDecoder",
    "LatentModel",
    "RepresentationConfig",
    "TextConfig",
    "TextModel",
    "TokenConfig",
    "TokenModel",
    "adm_center_crop",
]
