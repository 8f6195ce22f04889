"""An exported model: what its files hold, and that plain TensorFlow, TFLite and ONNX play it."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from experiments import small_experiment

from gansynth_tf import converters, export, loading, model_card, portable, warmup
from gansynth_tf.checkpoint import CheckpointError
from gansynth_tf.cli import export as command
from gansynth_tf.cli import generate
from gansynth_tf.specgram import SPECGRAMS, WAVE_IMAGE, SpecgramCodec
from gansynth_tf.training import Trainer

TOLERANCE = 1e-5  # of the peak, as rounding differs with the batch


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    Trainer(small_experiment(total_num_images=24), folder, lambda _: None).run()
    return folder


@pytest.fixture(scope="module")
def instrument(run_dir):
    return loading.load(run_dir)


@pytest.fixture(scope="module")
def base(run_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "base"
    flags = [f"--model={run_dir}", f"--export_dir={folder}", "--saved_model", "--tflite", "--onnx"]
    assert command.main(flags) == 0
    return folder


@pytest.fixture(scope="module")
def signatures(base):
    loaded = tf.saved_model.load(str(base / "1"))
    yield loaded.signatures
    del loaded


def close(actual, expected, tolerance=TOLERANCE):
    peak = np.abs(expected).max()
    assert peak > 0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * peak)


def notes(count):
    return np.resize([60, 61, 62], count).astype(np.int32), np.arange(count, dtype=np.int32)


# --- SavedModel ---

PLAIN = """
import sys
import numpy as np
import tensorflow as tf
folder, output = sys.argv[1:]
loaded = tf.saved_model.load(folder)
inputs = np.load(output + ".in.npz")
count = sum(int(np.prod(v.shape)) for v in loaded.weights)
results = {"count": count}
for size in (1, 7, 64):
    given = {k: tf.constant(inputs[k][:size]) for k in ("pitch", "seed")}
    results[f"audio{size}"] = loaded.signatures["serving_default"](**given)["audio"].numpy()
graph = tf.Graph()
with tf.compat.v1.Session(graph=graph) as session:
    meta = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    signature = meta.signature_def["generate"]
    feed = {signature.inputs[k].name: inputs[k][:2] for k in ("pitch", "seed")}
    results["session"] = session.run(signature.outputs["audio"].name, feed)
assert "gansynth_tf" not in sys.modules
np.savez(output, **results)
"""


def test_plain_tensorflow_plays_it(base, instrument, tmp_path):
    """In a process that knows nothing of the package: by both loaders, the run's own notes."""
    pitch, seed = notes(64)
    output = tmp_path / "out.npz"
    np.savez(f"{output}.in.npz", pitch=pitch, seed=seed)
    command_line = [sys.executable, "-I", "-c", PLAIN, str(base / "1"), str(output)]
    done = subprocess.run(command_line, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "custom gradients" not in done.stderr
    results = np.load(output)
    expected = instrument.generate(pitch, seed).waves
    for size in (1, 7, 64):
        close(results[f"audio{size}"], expected[:size])
    close(results["session"], expected[:2])
    assert results["count"] == instrument.player.generator.count_params()


def test_saved_model_cli_plays_it(base, tmp_path):
    program = pathlib.Path(sys.executable).with_name("saved_model_cli")
    arguments = ["run", "--dir", base / "1", "--tag_set", "serve", "--signature_def", "generate"]
    arguments += ["--input_exprs", "pitch=[60];seed=[1]"]
    arguments += ["--outdir", tmp_path]
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "audio.npy").shape == (1, 900)


def test_weights_are_stored_once(base, instrument):
    reader = tf.train.load_checkpoint(str(base / "1" / "variables" / "variables"))
    sizes = [
        np.prod(shape, dtype=int)
        for name, shape in reader.get_variable_to_shape_map().items()
        if name.startswith("weights/")
    ]
    assert sum(sizes) == instrument.player.generator.count_params()
    others = set(reader.get_variable_to_shape_map()) - {f"weights/{n}" for n in range(999)}
    assert {name for name in others if "weights" not in name} == {"_CHECKPOINTABLE_OBJECT_GRAPH"}


def test_signatures_agree_with_the_run(signatures, instrument):
    pitch, seed = notes(3)
    expected = instrument.generate(pitch, seed)
    played = signatures["generate"](pitch=tf.constant(pitch), seed=tf.constant(seed))
    close(played["audio"], expected.waves)
    np.testing.assert_array_equal(played["z"], expected.latents)
    z, pitch = tf.constant(expected.latents), tf.constant(pitch)
    close(signatures["synthesize"](z=z, pitch=pitch)["audio"], expected.waves)
    specgram = signatures["specgram"](z=z, pitch=pitch)["specgram"]
    close(specgram, instrument.specgrams(expected.latents, [60, 61, 62]))
    close(signatures["invert"](specgram=specgram)["audio"], expected.waves)
    analyzed = signatures["analyze"](audio=tf.constant(expected.waves))["specgram"]
    np.testing.assert_array_equal(analyzed, instrument.analyze(expected.waves))
    amount = np.array([0.0, 0.5, 1.0], np.float32)
    on_the_way = signatures["interpolate"](
        z_from=z, z_to=tf.reverse(z, [0]), amount=tf.constant(amount), pitch=pitch
    )["audio"]
    ends = expected.latents, expected.latents[::-1]
    close(on_the_way, instrument.interpolate(*ends, amount, [60, 61, 62]))
    close(on_the_way[0], expected.waves[0])


def test_a_note_depends_on_its_own_seed_and_pitch_only(signatures):
    pitch, seed = notes(5)
    generate_ = signatures["generate"]
    together = generate_(pitch=tf.constant(pitch), seed=tf.constant(seed))
    alone = generate_(pitch=tf.constant(pitch[3:4]), seed=tf.constant(seed[3:4]))
    np.testing.assert_array_equal(alone["z"][0], together["z"][3])
    close(alone["audio"][0], together["audio"][3])
    assert np.abs(together["z"][0] - together["z"][1]).max() > 0.1


def test_wavs_are_whole_files_at_a_safe_peak(signatures, instrument):
    pitch, seed = notes(2)
    given = {"pitch": tf.constant(pitch), "seed": tf.constant(seed)}
    wavs = signatures["generate_wav"](**given)["wav_bytes"].numpy()
    for content, wave in zip(wavs, instrument.generate(pitch, seed).waves, strict=True):
        decoded, rate = tf.audio.decode_wav(content)
        assert rate == instrument.sample_rate
        expected = wave / max(np.abs(wave).max(), 1.0)
        np.testing.assert_allclose(decoded[:, 0], expected, atol=1e-4)


NOTE = {"pitch": np.array([60], np.int32), "seed": np.array([1], np.int32)}
LATENT = {"z": np.zeros((1, 4), np.float32), "pitch": NOTE["pitch"]}
PATH = {
    "z_from": LATENT["z"],
    "z_to": LATENT["z"],
    "amount": np.array([0.5], np.float32),
    "pitch": NOTE["pitch"],
}


@pytest.mark.parametrize(
    ("signature", "given", "sentence"),
    [
        ("generate", NOTE | {"pitch": np.int32([59])}, "pitch: the model knows only MIDI pitches 60-62."),
        ("generate", NOTE | {"pitch": np.int32([-1])}, "pitch: the model knows only"),
        ("generate_wav", NOTE | {"pitch": np.int32([1000])}, "pitch: the model knows only"),
        ("generate", NOTE | {"seed": np.int32([1, 2])}, "seed must be as many as pitch."),
        ("generate", {"pitch": np.int32([]), "seed": np.int32([])}, "at least one note"),
        ("synthesize", LATENT | {"z": np.zeros((1, 5), np.float32)}, "z must have shape [n, 4]."),
        ("synthesize", LATENT | {"z": np.zeros((2, 4), np.float32)}, "z must be as many as pitch."),
        ("specgram", LATENT | {"z": np.full((1, 4), np.nan, np.float32)}, "z must be finite"),
        ("invert", {"specgram": np.zeros((1, 2, 3, 2), np.float32)}, "specgram must have shape"),
        ("analyze", {"audio": np.zeros((1, 901), np.float32)}, "audio must have shape [n, 900]."),
        ("analyze", {"audio": np.full((1, 900), np.inf, np.float32)}, "audio must be finite"),
        ("interpolate", PATH | {"amount": np.float32([1.5])}, "amount must be numbers from 0 to 1."),
        ("interpolate", PATH | {"amount": np.float32([0, 1])}, "amount must be as many as pitch."),
        ("interpolate", PATH | {"z_to": np.zeros((1, 3), np.float32)}, "z_to must have shape [n, 4]."),
    ],
)  # fmt: skip
def test_bad_input_is_an_invalid_argument_with_a_sentence(signatures, signature, given, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        signatures[signature](**{name: tf.constant(value) for name, value in given.items()})
    assert sentence in str(caught.value)


def test_what_lies_beside_the_graph(base, instrument):
    card = json.loads((base / "1" / model_card.FILE).read_text())
    assert card["format_version"] == 1
    assert (card["sample_rate"], card["audio_length"], card["latent_size"]) == (8000, 900, 4)
    assert card["pitches"] == [60, 61, 62]
    assert card["representation"] == "linear"
    assert card["provenance"]["state"]["images"] == 24
    assert str(pathlib.Path.home()) not in json.dumps(card)
    signatures = tf.saved_model.load(str(base / "1")).signatures
    requests = warmup.read(base / "1")
    assert {name for name, _ in requests} >= {"serving_default", "generate_wav", "synthesize"}
    for name, inputs in requests:
        signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})


def test_versions_count_up_and_are_never_replaced(run_dir, instrument, tmp_path, capsys):
    assert export.export_saved_model(instrument, tmp_path, 7).name == "7"
    (tmp_path / "notes").mkdir()
    abandoned = tmp_path / ".export-999999999"
    abandoned.mkdir()
    assert export.export_saved_model(instrument, tmp_path).name == "8"
    assert not abandoned.exists()
    assert list(export.versions(tmp_path)) == [7, 8]
    assert loading.load(tmp_path).path.name == "8"
    again = [f"--model={run_dir}", f"--export_dir={tmp_path}", "--version=7"]
    assert command.main(again) == 2
    assert "is there already" in capsys.readouterr().err


# --- Played by the library ---


def test_an_export_is_an_instrument_as_its_run(base, instrument):
    saved = loading.load(base)
    for name in ("sample_rate", "audio_length", "pitches", "latent_size", "description", "codec"):
        assert getattr(saved, name) == getattr(instrument, name)
    close(saved.generate([60, 62], [3, 4]).waves, instrument.generate([60, 62], [3, 4]).waves)
    z = tf.constant(instrument.latents(1, 2))
    slopes = []
    for played in (instrument, saved):
        with tf.GradientTape() as tape:
            tape.watch(z)
            energy = tf.reduce_sum(played.differentiable(z, tf.constant([60, 61])) ** 2)
        slopes.append(tape.gradient(energy, z))
    close(slopes[1], slopes[0].numpy(), 1e-3)
    with pytest.raises(ValueError, match="latents must be finite"):
        saved.synthesize(np.full((1, 4), np.nan), [60])


def test_the_command_plays_an_export(base, tmp_path, capsys):
    flags = [f"--model={base}", f"--output_dir={tmp_path}", "--pitches=60", "--count=1"]
    assert generate.main(flags) == 0
    assert (tmp_path / "note_0000_p060.wav").is_file()


def test_what_is_no_model_is_named(base, tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="was expected"):
            loading.load(folder)
    foreign = tmp_path / "foreign"
    tf.saved_model.save(tf.Module(), str(foreign))
    with pytest.raises(CheckpointError, match="gansynth_export was expected"):
        loading.load(foreign)
    assert command.main([f"--model={base}", f"--export_dir={tmp_path / 'x'}"]) == 2
    assert "is an export already" in capsys.readouterr().err


def test_a_damaged_export_is_named(base, tmp_path):
    import shutil

    copy = shutil.copytree(base / "1", tmp_path / "1")
    (copy / export.SAVED_MODEL).write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="is damaged"):
        loading.load(copy)


# --- TFLite and ONNX ---


def test_tflite_plays_it(base, instrument):
    interpreter = tf.lite.Interpreter(str(base / export.TFLITE))
    play = interpreter.get_signature_runner("synthesize")
    pitch, _ = notes(3)
    z = instrument.latents(2, 3)
    for count in (1, 3):
        audio = play(z=z[:count], pitch=pitch[:count])["audio"]
        close(audio, instrument.synthesize(z, pitch)[:count], 1e-3)


def test_onnx_plays_it(base, instrument):
    session = onnxruntime.InferenceSession(base / export.ONNX)
    pitch, _ = notes(3)
    z = instrument.latents(2, 3)
    assert [(i.name, i.shape) for i in session.get_inputs()] == [
        ("z", ["batch", 4]),
        ("pitch", ["batch"]),
    ]
    for count in (1, 3):
        (audio,) = session.run(["audio"], {"z": z[:count], "pitch": pitch[:count]})
        close(audio, instrument.synthesize(z, pitch)[:count], 1e-3)


@pytest.mark.parametrize(
    "codec",
    [
        *(SpecgramCodec(name, 64, 128, 4200, 8000) for name in SPECGRAMS),
        SpecgramCodec(WAVE_IMAGE, 4096, 1, 4000, 8000),
    ],
    ids=lambda codec: codec.representation,
)
def test_real_valued_inversion_is_the_codecs(codec):
    waves = np.random.default_rng(0).standard_normal((3, codec.audio_length), np.float32)
    specgrams = codec.waves_to_specgrams(waves)
    expected = codec.specgrams_to_waves(specgrams)
    close(portable.specgrams_to_waves(codec, specgrams), expected.numpy())


@pytest.mark.parametrize("convert", [converters.to_tflite, converters.to_onnx])
def test_an_operation_that_a_converter_lacks_is_named(convert):
    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, "z")])
    def function(z):
        return {"audio": tf.math.igamma(z, z)}

    with pytest.raises(converters.ConversionError, match="cannot hold this model: it lacks Igamma"):
        convert(function)
