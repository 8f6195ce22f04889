"""`make quickstart` after its training: play the model, measure it, write one page about it."""

import datetime
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from gansynth_tf import callbacks, config, pictures, report, wavfiles
from gansynth_tf.data import pipeline, sources
from gansynth_tf.evaluation.pitch_tracking import pitch_share
from gansynth_tf.evaluation.timbre import timbre_spread
from gansynth_tf.files import remove_temporaries
from gansynth_tf.instrument import RunInstrument, load_run
from gansynth_tf.music import slerp
from gansynth_tf.report import Figures, NoteGroup, NoteItem, QuickstartReport, TrainingSummary

NUM_NOTES = 200
SEED = 1
SCALE_STEPS = (0, 2, 4, 5, 7, 9, 11, 12)
CHORDS = {"major": (0, 4, 7), "minor": (0, 3, 7), "seventh": (0, 4, 7, 10), "open": (0, 7, 12)}
INTERPOLATION_NOTES = 8
NOTE_FOLDER = "notes"
CURVES = "curves.png"


def write_results(run_dir: pathlib.Path, say: Callable[[str], object] = print) -> Figures:
    """Writes notes, pictures, report.html and report.json into the run folder."""
    run_dir = pathlib.Path(run_dir)
    instrument = load_run(run_dir, say)
    say(f"Playing {instrument.description}.")
    groups = [
        _scale(instrument, run_dir),
        _chords(instrument, run_dir),
        _interpolation(instrument, run_dir),
        _real_notes(instrument, run_dir),
    ]
    figures = measure(instrument, NUM_NOTES, say)
    rows = callbacks.read_log(run_dir / callbacks.LOG_FILE)
    pictures.loss_curves(run_dir / CURVES, rows)
    page = QuickstartReport(
        title="GANSynth quickstart",
        stage_index=instrument.stage.index,
        stage_description=instrument.description,
        settings=instrument.experiment.values,
        training=_training(instrument, run_dir, rows),
        figures=figures,
        note_groups=groups,
        curves=CURVES,
    )
    report.write_report(run_dir, page)
    return figures


# --- Measures ---


def measure(instrument: RunInstrument, count: int, say: Callable[[str], object]) -> Figures:
    """Pitch and timbre of ``count`` notes of the model, and of as many real ones, or all.

    The real notes go through the same encoding and decoding, so that what the codec loses is
    not laid to the model's account.
    """
    reals = pipeline.sample_notes(_data_set(instrument), count, SEED)
    say(f"Listening to {count} generated and {len(reals)} real notes.")
    vocabulary = np.asarray(instrument.pitches)
    pitches = np.sort(np.resize(vocabulary, count))
    waves = instrument.synthesize(instrument.latents(SEED, count), pitches)
    codec, rate = instrument.codec, instrument.sample_rate
    decoded = instrument.invert(pipeline.encode_all(reals, codec.waves_to_specgrams))
    # The networks' peak is not the wave's: one gain for all, as for the written files.
    waves *= wavfiles.common_gain(waves)
    heard = pitch_share(waves, pitches, rate)
    heard_real = pitch_share(decoded, reals.pitches, rate)
    return Figures(
        notes=count,
        pitch_share=heard.share,
        sounding_share=heard.sounding_share,
        timbre_spread=timbre_spread(waves, pitches, rate),
        real_notes=len(reals),
        real_pitch_share=heard_real.share,
        real_timbre_spread=timbre_spread(decoded, reals.pitches, rate),
        tolerance_cents=heard.tolerance_cents,
    )


def _data_set(instrument: RunInstrument):
    codec = instrument.codec
    return sources.load_notes(instrument.experiment.data, codec.sample_rate, codec.audio_length)


def _training(
    instrument: RunInstrument, run_dir: pathlib.Path, rows: list[dict]
) -> TrainingSummary:
    last = [row for row in rows if row.get("stage") == instrument.stage.index]
    speeds = [row["images_per_second"] for row in last if "images_per_second" in row]
    return TrainingSummary(
        images=instrument.state.images,
        seconds=instrument.state.seconds,
        images_per_second=float(np.median(speeds or [np.nan])),
        started=_modified(run_dir / config.SETTINGS_FILE),
        finished=_modified(instrument.path),
    )


def _modified(path: pathlib.Path) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)


# --- Notes to hear ---


def _center(instrument: RunInstrument) -> int:
    """A pitch in the middle of the vocabulary, with an octave above it."""
    pitches = instrument.pitches
    return pitches[max((len(pitches) - 1) // 2 - 6, 0)]


def _known(instrument: RunInstrument, pitches: Sequence[int]) -> np.ndarray:
    return np.array([pitch for pitch in pitches if pitch in instrument.pitches])


def _play(
    instrument: RunInstrument,
    run_dir: pathlib.Path,
    folder: str,
    latents: np.ndarray,
    pitches: Sequence[int],
    labels: list[str],
) -> list[NoteItem]:
    """Writes each note's wav and picture into ``notes/folder``."""
    specgrams = instrument.specgrams(latents, pitches)
    waves = instrument.invert(specgrams)
    return _write(instrument, run_dir, folder, waves, specgrams, pitches, labels)


def _write(
    instrument: RunInstrument,
    run_dir: pathlib.Path,
    folder: str,
    waves: np.ndarray,
    specgrams: np.ndarray,
    pitches: Sequence[int],
    labels: list[str],
):
    relative = pathlib.PurePosixPath(NOTE_FOLDER, folder)
    (run_dir / relative).mkdir(parents=True, exist_ok=True)
    remove_temporaries(run_dir / relative, "*.wav", "*.png")
    names = [f"{number:02d}_p{pitch:03d}" for number, pitch in enumerate(pitches)]
    wavfiles.write_wavs(run_dir / relative, names, waves, instrument.sample_rate)
    items = []
    for name, specgram, label in zip(names, specgrams, labels, strict=True):
        picture = relative / f"{name}.png"
        representation = instrument.codec.representation
        pictures.rainbowgram_png(run_dir / picture, specgram, representation=representation)
        items.append(NoteItem(label, str(relative / f"{name}.wav"), str(picture)))
    return items


def _scale(instrument: RunInstrument, run_dir: pathlib.Path) -> NoteGroup:
    pitches = _known(instrument, [_center(instrument) + step for step in SCALE_STEPS])
    latents = np.repeat(instrument.latents(SEED, 1), len(pitches), axis=0)
    labels = [f"MIDI {pitch}" for pitch in pitches]
    items = _play(instrument, run_dir, "scale", latents, pitches, labels)
    return NoteGroup("A scale", "One timbre on the pitches of a major scale.", items)


def _chords(instrument: RunInstrument, run_dir: pathlib.Path) -> NoteGroup:
    """Chords of one timbre, mixed; a chord's picture is that of the mixture."""
    root, codec = _center(instrument), instrument.codec
    waves, labels = [], []
    for name, steps in CHORDS.items():
        pitches = _known(instrument, [root + step for step in steps])
        latents = np.repeat(instrument.latents(SEED, 1), len(pitches), axis=0)
        waves.append(instrument.synthesize(latents, pitches).sum(axis=0))
        labels.append(f"{name} ({', '.join(map(str, pitches))})")
    waves = np.stack(waves)
    specgrams = codec.waves_to_specgrams(waves).numpy()
    roots = np.full(len(waves), root)
    items = _write(instrument, run_dir, "chords", waves, specgrams, roots, labels)
    return NoteGroup("Chords", "Notes of the same timbre, sounding together.", items)


def _interpolation(instrument: RunInstrument, run_dir: pathlib.Path) -> NoteGroup:
    start, end = instrument.latents(SEED + 1, 2)
    amounts = np.linspace(0.0, 1.0, INTERPOLATION_NOTES)
    pitches = np.full(INTERPOLATION_NOTES, _center(instrument))
    labels = [f"{amount:.0%}" for amount in amounts]
    path = slerp(start, end, amounts)
    items = _play(instrument, run_dir, "interpolation", path, pitches, labels)
    return NoteGroup("From one timbre to another", "One pitch, along an arc of latents.", items)


def _real_notes(instrument: RunInstrument, run_dir: pathlib.Path) -> NoteGroup:
    reals = pipeline.sample_notes(_data_set(instrument), 8, SEED)
    specgrams = instrument.codec.waves_to_specgrams(reals.waves()).numpy()
    labels = [f"MIDI {pitch}" for pitch in reals.pitches]
    items = _write(
        instrument, run_dir, "real", instrument.invert(specgrams), specgrams, reals.pitches, labels
    )
    return NoteGroup(
        "Notes of the data set", "What was learnt from, encoded and decoded in the same way.", items
    )
