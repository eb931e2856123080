"""Whatever kind of picture a data set holds, every family is shown the same RGB; what cannot be shown is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mathse.backbones import Loaded
from mathse.backbones.pictures import open_picture
from mathse.types import Turn

SIZE = (48, 32)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ROTATED = 6  # EXIF: the first row is the right-hand side


def corner(mode: str, ground: object, first: object) -> Image.Image:
    """A picture of `ground` whose pixel at the top left is `first`."""
    picture = Image.new(mode, SIZE, ground)  # type: ignore[arg-type]
    picture.putpixel((0, 0), first)  # type: ignore[arg-type]
    return picture


def turned() -> Image.Image:
    """Lies on its side: upright its first pixel is at the top right."""
    picture = corner("RGB", BLUE, RED)
    picture.getexif()[0x112] = ROTATED
    return picture


def palette() -> Image.Image:
    """Colour 0 is red, colour 1 is blue."""
    picture = corner("P", 1, 0)
    picture.putpalette([*RED, *BLUE])
    return picture


def sixteen_bits(ground: int, first: int) -> Image.Image:
    values = np.full(SIZE[::-1], ground, np.uint16)
    values[0, 0] = first
    return Image.fromarray(values)


Pixel = tuple[int, int, int]
# Name of the file, the picture, how it is saved, and the pixels expected at the top left and the bottom right.
KINDS: dict[str, tuple[str, Callable[[], Image.Image], dict[str, object], Pixel, Pixel]] = {
    "RGB": ("a.png", lambda: corner("RGB", BLUE, RED), {}, RED, BLUE),
    "RGB with a transparent colour": ("a.png", lambda: corner("RGB", BLUE, RED), {"transparency": RED}, WHITE, BLUE),
    "RGBA, clear": ("a.png", lambda: corner("RGBA", (*BLUE, 255), (0, 0, 0, 0)), {}, WHITE, BLUE),
    "RGBA, half clear": ("a.png", lambda: corner("RGBA", (*BLUE, 255), (0, 0, 0, 128)), {}, (127, 127, 127), BLUE),
    "RGBA in WebP": (
        "a.webp",
        lambda: corner("RGBA", (*BLUE, 255), (0, 0, 0, 0)),
        {"lossless": True, "exact": True},
        WHITE,
        BLUE,
    ),
    "grey": ("a.png", lambda: corner("L", 70, 3), {}, (3, 3, 3), (70, 70, 70)),
    "grey, clear": ("a.png", lambda: corner("LA", (70, 255), (0, 0)), {}, WHITE, (70, 70, 70)),
    "grey with a transparent one": ("a.png", lambda: corner("L", 70, 3), {"transparency": 3}, WHITE, (70, 70, 70)),
    "1 bit": ("a.png", lambda: corner("1", 0, 1), {}, WHITE, (0, 0, 0)),
    "16 bits": ("a.png", lambda: sixteen_bits(32896, 257), {}, (1, 1, 1), (128, 128, 128)),
    "16 bits, full": ("a.tif", lambda: sixteen_bits(65535, 0), {}, (0, 0, 0), WHITE),
    "16 bits with a transparent one": ("a.png", lambda: sixteen_bits(32896, 300), {"transparency": 300}, WHITE, (128,) * 3),
    "16 bits in PGM": ("a.pgm", lambda: sixteen_bits(32896, 257), {}, (1, 1, 1), (128, 128, 128)),
    "palette": ("a.png", palette, {}, RED, BLUE),
    "palette with a transparent colour": ("a.png", palette, {"transparency": 0}, WHITE, BLUE),
    "palette with half clear colours": ("a.png", palette, {"transparency": bytes([128, 255])}, (255, 127, 127), BLUE),
    "CMYK": ("a.tif", lambda: Image.new("CMYK", SIZE, (0, 255, 255, 0)), {}, RED, RED),
    "animated": (
        "a.gif",
        lambda: Image.new("RGB", SIZE, RED),
        {"save_all": True, "append_images": [Image.new("RGB", SIZE, GREEN)]},
        RED,
        RED,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_becomes_rgb_on_white(kind: str, tmp_path: Path) -> None:
    name, made, options, first, last = KINDS[kind]
    made().save(tmp_path / name, **options)  # type: ignore[arg-type]
    shown = open_picture(str(tmp_path / name))
    assert (shown.mode, shown.size) == ("RGB", SIZE)
    assert (shown.getpixel((0, 0)), shown.getpixel((47, 31))) == (first, last)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind][2]])
def test_a_picture_in_memory_is_shown_as_its_file_is(kind: str) -> None:
    _, made, _, first, last = KINDS[kind]
    picture = made()
    before = picture.copy()
    shown = open_picture(picture)
    assert shown.mode == "RGB"
    assert (shown.getpixel((0, 0)), shown.getpixel((47, 31))) == (first, last)
    assert picture == before, "the caller's own picture is left as it was"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", ""])
def test_a_picture_that_lies_on_its_side_is_turned_upright(name: str, tmp_path: Path) -> None:
    picture = turned()
    if name:
        picture.save(tmp_path / name, exif=picture.getexif(), quality=95)
    shown = open_picture(str(tmp_path / name) if name else picture)
    assert shown.size == SIZE[::-1]
    redness = np.asarray(shown).astype(int)[..., 0]
    assert redness.argmax() == shown.width - 1, "the first pixel stands at the top right"
    assert open_picture(shown).size == shown.size, "it is turned once"


def torn(name: str) -> bytes:
    import io

    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(noise).save(file, name)
        return file.getvalue()[: len(file.getvalue()) * 9 // 10]


def bomb(side: int) -> bytes:
    """The head of a square picture of `side` pixels, as a bitmap says it."""
    import struct

    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54) + head


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "empty or no picture"),
        (b"<html>404</html>", "empty or no picture"),
        (torn("PNG"), "truncated"),
        (torn("JPEG"), "truncated"),
        (torn("GIF"), "truncated"),
        (torn("BMP"), "truncated"),
        (torn("WEBP"), "decoder"),
        (bomb(10_000), "more than 89478485 pixels"),  # PIL itself only warns of this one
        (bomb(20_000), "more than 89478485 pixels"),
    ],
)
def test_a_file_that_cannot_be_shown_is_refused_by_name(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "p17.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^picture {path}: .*{said}"):
        open_picture(str(path))


@pytest.mark.parametrize(("size", "ratio"), [((2010, 10), 201), ((1, 300), 300), ((2000, 10), None), ((1, 1), None)])
def test_a_very_thin_picture_is_refused_with_its_proportion(
    size: tuple[int, int], ratio: int | None, family: Loaded, tmp_path: Path
) -> None:
    path = str(tmp_path / "thin.png")
    Image.new("RGB", size).save(path)
    chat = (Turn("user", "How long is it?", (path,)),)
    if ratio is None:
        assert family.encode(chat).pictures == (path,)
        return
    with pytest.raises(ValueError, match=rf"thin\.png: {ratio} times as long as wide, 200 is the most"):
        family.encode(chat)
    with pytest.raises(ValueError, match=rf"picture in memory: {ratio} times as long as wide"):
        open_picture(Image.new("RGB", size))


def test_a_picture_of_floating_point_numbers_is_refused(tmp_path: Path) -> None:
    Image.new("F", SIZE).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: .*floating-point"):
        open_picture(str(tmp_path / "a.tif"))


def test_every_family_sees_every_kind_from_a_file_as_from_memory(family: Loaded, tmp_path: Path) -> None:
    for i, (name, made, options, _, _) in enumerate(KINDS.values()):
        path = tmp_path / f"{i}{name}"
        made().save(path, **options)  # type: ignore[arg-type]
        named, held = (
            family.encode((Turn("user", "What is it?", (picture,)),)) for picture in (str(path), Image.open(path))
        )
        assert named.ids.equal(held.ids)
        (one,), (other,) = family.features(named.pictures), family.features(held.pictures)
        assert one.equal(other)
        assert len(one) == int((named.ids == family.picture_id).sum())
