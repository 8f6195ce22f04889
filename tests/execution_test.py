"""How steps are executed changes rounding at most."""

import numpy as np
import pytest
import tensorflow as tf
from experiments import small_experiment

from gansynth_tf import checkpoint, execution
from gansynth_tf.execution import ExecutionConfig, StepFunction
from gansynth_tf.model import GANSynth, PitchVocabulary
from gansynth_tf.training import CHECKPOINT_FOLDER, Trainer

pytestmark = pytest.mark.latest


def one_step(**changes):
    """Loss terms of a first step in a transition stage, by name, and the model after it."""
    experiment = small_experiment(**changes)
    config = experiment.model_config(PitchVocabulary((60, 61, 62), (1, 1, 1)))
    numbers = config.normalizer.prespecified()
    model = GANSynth(
        config, scale_offset=numbers, seed=3, image_type=experiment.execution.image_type
    )
    model.begin_stage(experiment.schedule.stage(1))
    size = config.networks.resolutions.resolution(2)
    rng = np.random.default_rng(0)
    batch = {
        "specgrams": rng.uniform(-0.5, 0.5, [4, *size, 2]).astype(np.float32),
        "labels": np.array([0, 1, 2, 0], np.int32),
    }
    take_steps = StepFunction(model, tf.distribute.get_strategy(), experiment.execution)
    rows = take_steps(iter(tf.data.Dataset.from_tensors(batch)), 0, [0.5]).numpy()
    return dict(zip(take_steps.terms, rows[0], strict=True)), model


@pytest.fixture(scope="module")
def plain():
    return one_step()[0]


def test_several_steps_at_once_change_no_bit(tmp_path):
    """Three do not divide a stage's four steps: the last execution of a stage is a shorter one."""
    arrays = {}
    for steps in (1, 3):
        run_dir = tmp_path / str(steps)
        outcome = Trainer(small_experiment(steps_per_execution=steps), run_dir, str).run()
        assert outcome.state.steps == 12
        arrays[steps] = checkpoint.load_latest(run_dir / CHECKPOINT_FOLDER).arrays
    assert arrays[1].keys() == arrays[3].keys()
    for name, array in arrays[1].items():
        np.testing.assert_array_equal(array, arrays[3][name], err_msg=name)


def test_bfloat16_is_near_float32_but_not_it(plain):
    terms, model = one_step(precision="mixed_bfloat16")
    assert {variable.dtype for variable in model.variables} == {"float32"}
    for name, value in plain.items():
        np.testing.assert_allclose(terms[name], value, rtol=0.05, atol=0.02, err_msg=name)
    assert any(terms[name] != value for name, value in plain.items())


def test_bfloat16_reaches_every_convolution():
    _, model = one_step(precision="mixed_bfloat16")
    latents, labels = tf.zeros([2, model.config.networks.latent_vector_size]), tf.eye(3)[:2]

    @tf.function
    def both():
        fakes = model.generator(latents, labels, num_blocks=2, fade=0.5)
        return model.discriminator(fakes, num_blocks=2, fade=0.5).score

    graph = both.get_concrete_function().graph
    types = [op.inputs[0].dtype for op in graph.get_operations() if op.type == "Conv2D"]
    # Block 1 of the generator, and the critic's head after the statistic, stay float32.
    assert types.count(tf.float32) == 2
    assert types.count(tf.bfloat16) == len(types) - 2 > 6


def test_xla_computes_the_same(plain):
    terms, _ = one_step(jit_compile=True)
    for name, value in plain.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("precision", ["float32", "tensorfloat32"])
def test_tensorfloat32_only_where_asked_for(precision):
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    try:
        ExecutionConfig(precision).set_up()
        enabled = tf.config.experimental.tensor_float_32_execution_enabled()
        assert enabled == (precision == "tensorfloat32")
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"precision": "bfloat16"}, "precision must be one of float32, tensorfloat32"),
        ({"steps_per_execution": 0}, "steps_per_execution must be from 1 to 100, not 0"),
    ],
)
def test_refused(values, expected):
    with pytest.raises(ValueError, match=expected):
        ExecutionConfig(**values)


@pytest.mark.parametrize(
    ("flags", "precision", "warned"),
    [
        ("fpu avx2", "mixed_bfloat16", True),
        ("fpu avx2 avx512_bf16", "mixed_bfloat16", False),
        ("fpu avx2", "float32", False),
        ("", "mixed_bfloat16", False),
    ],
)
def test_a_processor_without_bfloat16_is_named(tmp_path, monkeypatch, flags, precision, warned):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}" if flags else "")
    monkeypatch.setattr(execution, "_CPU_INFO", tmp_path / "cpuinfo")
    warning = ExecutionConfig(precision=precision).warning()
    assert (warning is not None) == warned
    assert not warned or precision in warning


def test_notes_encoded_on_the_device_train_the_same(tmp_path):
    arrays = {}
    for place in ("host", "device"):
        experiment = small_experiment(specgram_on=place, total_num_images=8)
        Trainer(experiment, tmp_path / place, str).run()
        arrays[place] = checkpoint.load_latest(tmp_path / place / CHECKPOINT_FOLDER).arrays
    for name, array in arrays["host"].items():
        np.testing.assert_allclose(
            arrays["device"][name], array, rtol=1e-3, atol=2e-5, err_msg=name
        )
