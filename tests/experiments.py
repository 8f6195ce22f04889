"""A run small enough for a test: two resolutions, all three stages in some seconds."""

from gansynth_tf import config

SMALL = {
    "data_type": "linear",
    "sample_rate": 8000,
    "audio_length": 900,
    "min_pitch": 60,
    "max_pitch": 62,
    "embedded_instruments": 1,
    "embedded_velocities": (100,),
    "num_resolutions": 2,
    "start_height": 16,
    "start_width": 32,
    "fmap_base": 64,
    "fmap_max": 4,
    "latent_vector_size": 4,
    "batch_size_schedule": (4,),
    "stable_stage_num_images": 16,
    "transition_stage_num_images": 16,
    "total_num_images": 48,
    "save_summaries_num_images": 0,
    "fake_batch_size": 3,
    "tensorboard": False,
    "seed": 3,
}


def small_experiment(**changes):
    return config.make_experiment(SMALL | changes)


def small_flags(**changes) -> list[str]:
    """The same as command-line arguments."""
    arguments = []
    for name, value in (SMALL | changes).items():
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower()
        arguments.append(f"--{name}={text if name not in ('data_type',) else value}")
    return arguments
