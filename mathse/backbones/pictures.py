"""Picture files as every family is shown them: RGB, upright, on white, or refused by name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# Times as long as wide. Qwen2-VL's resizing refuses more; here all families do, so that a data set is the same for all.
LONGEST = 200


def open_picture(picture: str | Image) -> Image:
    """The picture in RGB, turned upright as its EXIF says, white where it is transparent; of an animation the first frame.

    Raises ValueError naming the file where it is missing, torn or no picture, very thin (`LONGEST`), or has more pixels than
    PIL deems safe to open.
    """
    from PIL import Image as images
    from PIL import UnidentifiedImageError

    name = picture if isinstance(picture, str) else "in memory"
    try:
        if not isinstance(picture, str):
            return _rgb(picture)
        with warnings.catch_warnings():
            warnings.simplefilter("error", images.DecompressionBombWarning)
            with images.open(picture) as opened:
                return _rgb(opened)
    except UnidentifiedImageError as error:
        raise ValueError(
            f"picture {name}: the file is empty or no picture; replace it or leave its problem out"
        ) from error
    except (images.DecompressionBombError, images.DecompressionBombWarning) as error:
        raise ValueError(
            f"picture {name}: more than {images.MAX_IMAGE_PIXELS} pixels are not opened; make it smaller"
        ) from error
    except (OSError, EOFError, SyntaxError, ValueError, RuntimeError) as error:  # what PIL's decoders raise
        raise ValueError(f"picture {name}: {error}; replace it or leave its problem out") from error


def _rgb(picture: Image) -> Image:
    from PIL import ExifTags, ImageOps
    from PIL import Image as images

    long, short = max(picture.size), min(picture.size)
    if long > LONGEST * short:
        raise ValueError(f"{long / short:.0f} times as long as wide, {LONGEST} is the most")
    if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise ValueError("what its floating-point pixels mean is not known")
    if picture.mode.startswith("I"):
        picture = _eight_bits(picture)
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        picture = images.alpha_composite(images.new("RGBA", shown.size, "white"), shown)
    return picture.convert("RGB")


def _eight_bits(grey: Image) -> Image:
    """16-bit grey ("I;16"; "I" where PIL has no such decoder) scaled to 8 bits; PIL's own conversion clips it."""
    import numpy as np
    from PIL import Image as images

    values = np.asarray(grey).astype(np.int64).clip(0, 65535)
    scaled = (values + 128) // 257
    scaled[values == grey.info.get("transparency", -1)] = 255  # the one grey that a PNG may call transparent
    return images.fromarray(scaled.astype(np.uint8))
