"""Losses, gradients and whole iterations equal the original's."""

import numpy as np
import pytest
import tensorflow as tf
from naming import assign
from networks_test import tiny_config

from gansynth_tf import networks
from gansynth_tf.losses import LossConfig
from gansynth_tf.magenta_names import MOVING_AVERAGE as EMA
from gansynth_tf.magenta_names import discriminator_variables, generator_variables
from gansynth_tf.model import GANSynth, ModelConfig, PitchVocabulary
from gansynth_tf.schedule import TrainingSchedule
from gansynth_tf.specgram import NormalizerConfig, SpecgramCodec

pytestmark = pytest.mark.latest
LEARNING_RATE = 8e-4
PITCHES = PitchVocabulary(tuple(range(24, 85)), (1,) * 61)


def tiny_model(**changes) -> GANSynth:
    config = ModelConfig(
        codec=SpecgramCodec("mel", 8, 64, audio_length=300),
        normalizer=NormalizerConfig(),
        networks=tiny_config(**changes),
        vocabulary=PITCHES,
    )
    return GANSynth(config)


def tiny_schedule() -> TrainingSchedule:
    return TrainingSchedule(
        num_resolutions=3,
        stable_stage_num_images=12,
        transition_stage_num_images=12,
        total_num_images=60,
        batch_size_schedule=(4,),
    )


@pytest.fixture(scope="module")
def arrays(goldens):
    return goldens.load("train_tiny.npz")


def fade_of(stage, progress):
    return (
        tf.constant(progress - (stage.num_blocks - 2), tf.float32) if stage.is_transition else None
    )


def originals(model, moving_average=False) -> dict:
    """Original name -> variable, of both networks."""
    names = generator_variables(model.generator) | discriminator_variables(model.discriminator)
    if moving_average:
        averages = generator_variables(model.ema_generator)
        names |= {name + EMA: variable for name, variable in averages.items()}
    return names


def assert_gradients(ours: dict, arrays, prefix: str, tolerance=2e-5):
    expected = {key: arrays[key] for key in arrays.files if key.startswith(prefix)}
    assert expected
    for key, value in expected.items():
        gradient = ours.get(key.removeprefix(prefix))
        gradient = np.zeros_like(value) if gradient is None else gradient.numpy()
        scale = np.abs(value).max()
        if key.endswith("logits/bias") and value.size == 1:
            scale = 1.0  # the sum of +1 for fakes and -1 for reals: only rounding remains of them
        error = np.abs(gradient - value).max() / max(scale, 1e-30)
        assert error < tolerance, f"{key}: {error:.1e} of its maximum"


@pytest.mark.parametrize("case", ["s0", "s1", "s3", "s4"])
def test_losses_and_gradients(arrays, case):
    prefix = f"static/{case}/"
    index, blocks, progress = arrays[prefix + "stage_blocks_progress"]
    stage = tiny_schedule().stage(int(index))
    assert stage.num_blocks == blocks
    fade = fade_of(stage, np.float32(progress))
    model = tiny_model()
    names = originals(model)
    assign(names, arrays, "var/")
    model.begin_stage(stage)

    latents, labels = arrays["static/z"], arrays["static/gen_labels"]
    reals = networks.stage_specgrams(
        model.config.networks, arrays["static/real_images"], stage.num_blocks, False
    )
    with tf.GradientTape(persistent=True) as tape:
        g_terms = model.generator_losses(latents, labels, fade)
        g_terms = type(g_terms)(*map(tf.reduce_mean, g_terms))
        d_terms = model.discriminator_losses(
            reals,
            arrays["static/real_labels"],
            latents,
            labels,
            arrays["static/gp_alpha"][:, 0, 0, 0],
            fade,
        )
        d_terms = type(d_terms)(*map(tf.reduce_mean, d_terms))
        g_total, d_total = (terms.total(LossConfig()) for terms in (g_terms, d_terms))

    terms = g_terms._asdict() | d_terms._asdict()
    terms |= {"generator_loss": g_total, "discriminator_loss": d_total}
    for name, ours in terms.items():
        np.testing.assert_allclose(ours, arrays[prefix + name], rtol=2e-5, atol=1e-6)

    for loss, key in (
        (g_total, "grad_g/"),
        (d_total, "grad_d/"),
        (d_terms.gradient_penalty, "grad_gp/"),
    ):
        gradients = tape.gradient(loss, [v.value for v in names.values()])
        assert_gradients(dict(zip(names, gradients, strict=True)), arrays, prefix + key)


@pytest.mark.parametrize(("stage_index", "iterations"), enumerate([4, 3, 2, 4, 3]))
def test_one_step_replays(arrays, stage_index, iterations):
    """From each recorded state, one iteration on the recorded draws gives the next state.

    Weights and, where the goldens hold them (stages 3 and 4), Adam's second moments are set anew
    before each step; the earlier stages carry their own second moments.
    """
    if "run/iterations_per_stage" not in arrays:
        pytest.skip("the recorded run needs the full set: set GANSYNTH_GOLDENS to its folder")
    schedule = tiny_schedule()
    stage = schedule.stage(stage_index)
    model = tiny_model()
    model.begin_stage(stage)
    replay = Replay(model, arrays)
    before, moments = f"run/stage{stage_index}/initial/vars/", replay.no_moments()
    for iteration in range(1, iterations + 1):
        after = f"run/stage{stage_index}/after_iter{iteration}/vars/"
        images = int(arrays[before + "global_step"])
        assert int(arrays[after + "global_step"]) == images + stage.batch_size
        fade = fade_of(stage, np.float32(schedule.progress(images, stage.num_blocks)))
        moments |= replay.recorded_moments(before)
        drawn = f"run/stage{stage_index}/iter{iteration}/"
        step = (iteration, before, moments, drawn, fade)
        weights, moments = replay.run(*step)
        replay.compare(after, weights, moments, step)
        before = after


class Replay:
    """Sets a recorded state, runs one iteration, and compares what came of it."""

    def __init__(self, model, arrays):
        self.model, self.arrays = model, arrays
        self.names = originals(model, moving_average=True)
        by_id = {id(variable): name for name, variable in originals(model).items()}
        self.optimizers = (model.generator_optimizer, model.discriminator_optimizer)
        variables = model.generator_variables + model.discriminator_variables
        self.trained = [by_id[id(variable)] for variable in variables]

    def _slots(self, kind):
        state = [v for optimizer in self.optimizers for v in optimizer.variables]
        slots = [variable for variable in state if variable.path.endswith(kind)]
        return dict(zip(self.trained, slots, strict=True))

    def no_moments(self):
        return {name: np.zeros(slot.shape) for name, slot in self._slots("velocity").items()}

    def recorded_moments(self, before):
        keys = {name: f"{before}progressive_gan_train_ops/{name}/Adam_1" for name in self.trained}
        return {name: self.arrays[key] for name, key in keys.items() if key in self.arrays}

    def run(self, iteration, before, moments, drawn, fade, noise=0):
        """Weights and second moments after one iteration on the recorded draws.

        ``noise``, if not 0, is the seed of a change of all weights as small as float rounding.
        """
        model = self.model

        def take(name):
            return self.arrays[drawn + name]

        assign(self.names, self.arrays, before)
        rng = np.random.default_rng(noise)
        for variable in self.names.values() if noise else ():
            value = variable.numpy()
            variable.assign(value * (1 + 2e-7 * rng.standard_normal(value.shape)))
        for name, slot in self._slots("velocity").items():
            slot.assign(moments[name])
        for optimizer in self.optimizers:
            optimizer.iterations.assign(iteration - 1)
        model.update_generator(take("G/z"), take("G/gen_labels"), fade)
        reals = networks.stage_specgrams(
            model.config.networks, take("D/real_images"), model.num_blocks, False
        )
        model.update_discriminator(
            reals,
            take("D/real_labels"),
            take("D/z"),
            take("D/gen_labels"),
            take("D/gp_alpha")[:, 0, 0, 0],
            fade,
        )
        weights = {name: variable.numpy() for name, variable in self.names.items()}
        return weights, {name: slot.numpy() for name, slot in self._slots("velocity").items()}

    def compare(self, after, weights, moments, step):
        """Every entry agrees whose step is not a matter of rounding.

        Adam divides the gradient by its own size: an entry far smaller than the largest of its
        tensor carries all the float noise of the sum that made it. And where an activation sits
        on the leaky ReLU's kink, rounding decides its side: an entry that disagrees must lie
        within what weights moved by float rounding give.
        """
        first = step[0] == 1
        tries = []
        gradients = {name: slot.numpy() for name, slot in self._slots("momentum").items()}
        compared = total = 0
        for name, ours in weights.items():
            if after + name not in self.arrays:
                continue
            expected = self.arrays[after + name]
            certain, tolerance = np.ones(expected.shape, bool), np.full(expected.shape, 1e-7)
            trained = name.removesuffix(EMA)
            if trained in gradients:
                moment, largest = moments[trained], np.abs(gradients[trained]).max()
                # A gradient of exactly 0 (the row of a pitch not drawn) moves nothing.
                certain = (moment == 0) | (np.sqrt(moment) > 1e-5 * largest * (0.1 if first else 1))
                noise = np.where(moment > 0, 5e-6 * largest / np.sqrt(np.maximum(moment, 1e-30)), 0)
                moved = 1e-6 if first else LEARNING_RATE * noise
                tolerance = 1e-7 + moved * (1e-3 if name.endswith(EMA) else 1.0)
            allowed = tolerance + 3e-7 * np.abs(expected)
            if trained.endswith("/logits/bias"):
                certain[:] = False  # only rounding is left of its gradient: see assert_gradients
            wrong = certain & (np.abs(ours - expected) > allowed)
            if wrong.any():
                tries = tries or [self.run(*step, noise=seed)[0] for seed in range(1, 17)]
                near = np.stack([other[name] for other in tries])
                allowed = allowed + 0.05 * np.ptp(near, axis=0)
                outside = np.maximum(near.min(0) - expected, expected - near.max(0)) - allowed
                assert (outside <= 0)[wrong].all(), (name, outside[wrong].max(), wrong.sum())
            compared += certain.sum()
            total += certain.size
        assert compared > 0.97 * total
