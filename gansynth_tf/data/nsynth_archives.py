"""NSynth's official archives, read note by note.

There are two forms of each split, at https://magenta.tensorflow.org/datasets/nsynth:

- ``nsynth-SPLIT.tfrecord.tar``: TFRecord files of tf.train.Example;
- ``nsynth-SPLIT.jsonwav.tar.gz``: ``examples.json``, an object of note id to features, and
  ``audio/ID.wav`` in 16 bits.
"""

import contextlib
import dataclasses
import io
import json
import pathlib
import re
import sys
import wave
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TextIO

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from gansynth_tf.data.archive_files import (
    ArchivedFile,
    ArchiveError,
    iterate_files,
    refusing_damage,
)
from gansynth_tf.data.nsynth_inputs import NUM_INSTRUMENTS
from gansynth_tf.data.schema import FAMILIES, QUALITIES, SOURCES, Note
from gansynth_tf.data.tfrecords import CorruptRecordError, read_record, skip_record

SAMPLE_RATE, AUDIO_LENGTH = 16000, 64000
_MOST_BYTES = 2**24  # of a record or a wav file; a note has 2**18
_MOST_ENTRY, _JSON_CHUNK = 2**16, 2**20  # characters of examples.json; an entry has 800
_MARK, _COLON = re.compile(r"\s*([{,}])\s*"), re.compile(r"\s*:\s*")


class Facts(NamedTuple):
    """All of a note but its sound; `number` is its instrument's, None where it is not told."""

    id: str
    instrument: str
    number: int | None
    family: str
    source: str
    pitch: int
    velocity: int
    qualities: tuple[bool, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One note of an archive.

    Attributes:
      facts: what is known without its sound.
      load: reads the whole note, float32 [64000]; to be called before the next entry is asked for.
    """

    facts: Facts
    load: Callable[[], Note]


def read_entries(
    path: pathlib.Path, skip: int = 0, tell: Callable[[int], object] = lambda position: None
) -> Iterator[Entry]:
    """All notes of one archive, in its order, which is always the same.

    Args:
      path: an archive of either form, or what it unpacks to.
      skip: how many notes are left out at the start, unchecked.
      tell: called again and again with the bytes read so far.

    Raises:
      ArchiveError: the archive is damaged or cut off, or holds something else.
    """
    with contextlib.closing(iterate_files(path)) as files:
        first = next(files, None)
    if first is None:
        raise ArchiveError(f"{path} holds no files.")
    is_jsonwav = first.name.endswith((".wav", ".json"))
    return (_jsonwav if is_jsonwav else _tfrecord)(path, skip, tell)


def _tfrecord(path: pathlib.Path, skip: int, tell: Callable[[int], object]) -> Iterator[Entry]:
    index = 0
    with refusing_damage(path):
        for file in iterate_files(path):
            while True:
                where = f"{path}: record {index} of {pathlib.PurePath(file.name).name}"
                try:
                    if index < skip:
                        if not skip_record(file.stream):
                            break
                    elif (content := read_record(file.stream, _MOST_BYTES)) is None:
                        break
                except CorruptRecordError as error:
                    raise ArchiveError(f"{where} {error}: get the archive anew.") from error
                tell(file.position())
                if index >= skip:
                    yield _example_entry(content, where)
                index += 1


def _example_entry(content: bytes, where: str) -> Entry:
    try:
        features = tf.train.Example.FromString(content).features.feature
    except DecodeError as error:
        raise ArchiveError(f"{where} is no tf.train.Example.") from error

    def values(name: str) -> list:
        # Asking for what is not there would add it.
        feature = features[name] if name in features else tf.train.Feature()
        kind = feature.WhichOneof("kind")
        return list(getattr(feature, kind).value) if kind else []

    fields = {}
    for name in _FIELDS:
        found = values(name)
        if name.endswith("_str"):
            found = [value.decode("utf-8", "replace") for value in found if type(value) is bytes]
        fields[name] = found if name == "qualities" else next(iter(found), None)
    facts = _facts(fields, where)

    def load() -> Note:
        samples = features["audio"].float_list if "audio" in features else tf.train.FloatList()
        # As bytes: its values one by one would take a hundred times as long.
        packed, count = samples.SerializeToString(), len(samples.value)
        return _note(facts, np.frombuffer(packed, "<f4", count, len(packed) - 4 * count), where)

    return Entry(facts, load)


def _jsonwav(path: pathlib.Path, skip: int, tell: Callable[[int], object]) -> Iterator[Entry]:
    # The sounds may come first: then the archive is gone through twice.
    examples = _read_examples(path, tell)
    index = 0
    for file in iterate_files(path):
        name = pathlib.PurePath(file.name).name
        if not name.endswith(".wav"):
            continue
        tell(file.position())
        if index >= skip:
            facts = examples.get(name.removesuffix(".wav"))
            if facts is None:
                raise ArchiveError(f"{path} has {name}, of which its examples.json does not tell.")
            yield Entry(facts, lambda file=file, facts=facts: _read_wav(path, file, facts))
        index += 1
    if index != len(examples):
        raise ArchiveError(
            f"{path} has {index} wav files, {len(examples)} were expected by its examples.json."
        )


def _read_wav(path: pathlib.Path, file: ArchivedFile, facts: Facts) -> Note:
    where = f"{path}: {pathlib.PurePath(file.name).name}"
    if file.size > _MOST_BYTES:
        raise ArchiveError(f"{where} has {file.size} bytes, {_MOST_BYTES} at most were expected.")
    with refusing_damage(path):
        content = file.stream.read()
    try:
        with wave.open(io.BytesIO(content)) as wav:
            form = wav.getnchannels(), 8 * wav.getsampwidth(), wav.getframerate()
            samples = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError, RuntimeError, ValueError) as error:
        raise ArchiveError(f"{where} is no wav file ({error}).") from error
    if form != (1, 16, SAMPLE_RATE):
        raise ArchiveError(
            f"{where} has {form[0]} channels of {form[1]} bits at {form[2]} Hz, one of 16 bits at "
            f"{SAMPLE_RATE} Hz was expected."
        )
    whole = len(samples) // 2 * 2
    audio = np.frombuffer(samples[:whole], "<i2").astype(np.float32) / 32768.0
    return _note(facts, audio, where)


def _note(facts: Facts, audio: np.ndarray, where: str) -> Note:
    if audio.shape != (AUDIO_LENGTH,):
        raise ArchiveError(f"{where} has {audio.size} samples, {AUDIO_LENGTH} were expected.")
    if not np.isfinite(audio).all():
        raise ArchiveError(f"{where} has samples that are NaN or infinite, numbers were expected.")
    return Note(
        id=facts.id,
        audio=audio,
        pitch=facts.pitch,
        velocity=facts.velocity,
        instrument_label=facts.instrument,
        instrument_family=facts.family,
        instrument_source=facts.source,
        qualities=dict(zip(QUALITIES, facts.qualities, strict=True)),
    )


# ---------------------------------------------------------------------------------------------
# Fields, as JSON objects and examples have them
# ---------------------------------------------------------------------------------------------

_FIELDS = (
    "note_str",
    "instrument_str",
    "instrument",
    "instrument_family_str",
    "instrument_source_str",
    "pitch",
    "velocity",
    "qualities",
    "sample_rate",
)


def _facts(fields: Mapping[str, object], where: str) -> Facts:
    def refuse(name: str, expected: str):
        value = repr(fields.get(name))[:100]
        raise ArchiveError(f"{where} has {name} {value}, {expected} was expected.")

    def text(name: str, *allowed: str) -> str:
        value = fields.get(name)
        if not isinstance(value, str) or not value or not value.isprintable():
            refuse(name, "a name")
        if allowed and value not in allowed:
            refuse(name, f"one of {', '.join(allowed)}")
        return value

    def integer(name: str, most: int) -> int:
        value = fields.get(name)
        if type(value) is not int or not 0 <= value <= most:
            refuse(name, f"an integer from 0 to {most}")
        return value

    qualities = fields.get("qualities")
    if not isinstance(qualities, list) or len(qualities) != len(QUALITIES):
        refuse("qualities", f"a list of {len(QUALITIES)}")
    if not all(type(value) is int and value in (0, 1) for value in qualities):
        refuse("qualities", "a list of 0 and 1")
    if fields.get("sample_rate") not in (None, SAMPLE_RATE):
        refuse("sample_rate", str(SAMPLE_RATE))
    is_numbered = fields.get("instrument") is not None
    return Facts(
        id=text("note_str"),
        instrument=sys.intern(text("instrument_str")),
        number=integer("instrument", NUM_INSTRUMENTS - 1) if is_numbered else None,
        family=sys.intern(text("instrument_family_str", *FAMILIES)),
        source=sys.intern(text("instrument_source_str", *SOURCES)),
        pitch=integer("pitch", 127),
        velocity=integer("velocity", 127),
        qualities=tuple(map(bool, qualities)),
    )


def _read_examples(path: pathlib.Path, tell: Callable[[int], object]) -> dict[str, Facts]:
    with contextlib.closing(iterate_files(path)) as files:
        for file in files:
            tell(file.position())
            if pathlib.PurePath(file.name).name == "examples.json":
                with refusing_damage(path), io.TextIOWrapper(file.stream, "utf-8") as text:
                    return {facts.id: facts for facts in _iterate_examples(path, text)}
    raise ArchiveError(f"{path} has wav files, but not the examples.json that tells of them.")


def _iterate_examples(path: pathlib.Path, text: TextIO) -> Iterator[Facts]:
    """An object's entries, one by one: those of the train split have 200 MB, at once 1 GB."""
    decoder = json.JSONDecoder()
    buffer, at, marks = "", 0, "{"
    while True:
        if len(buffer) - at < _MOST_ENTRY:
            buffer, at = buffer[at:] + text.read(_JSON_CHUNK), 0
        try:
            mark = _MARK.match(buffer, at)
            if mark is None or mark[1] not in marks:
                raise ValueError(f"one of {marks} was expected after {buffer[at - 20 : at]!r}")
            if mark[1] == "}":
                return
            key, at = decoder.raw_decode(buffer, mark.end())
            colon = _COLON.match(buffer, at)
            if colon is None:
                raise ValueError(f"a colon was expected after {key!r}")
            fields, at = decoder.raw_decode(buffer, colon.end())
        except (ValueError, RecursionError) as error:
            raise ArchiveError(f"{path}: examples.json is damaged or cut off ({error}).") from error
        where = f"{path}: {key!r} in examples.json"
        if not isinstance(fields, dict) or fields.get("note_str") != key:
            raise ArchiveError(f"{where} is no note of that name.")
        yield _facts(fields, where)
        marks = ",}"
