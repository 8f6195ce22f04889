"""The stage driver: data, model, schedule, and what happens when.

It owns the loop and nothing else: the step is the model's, persistence is ``checkpoint``'s,
pictures and logs are ``callbacks``'.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from gansynth_tf import callbacks, checkpoint
from gansynth_tf.cadence import Every
from gansynth_tf.checkpoint import CheckpointError, RunState
from gansynth_tf.data import pipeline, sources
from gansynth_tf.data.notes import Notes
from gansynth_tf.distribution import (
    DistributionError,
    PeerStop,
    check_batches,
    distribute_batches,
    find_cluster,
    fingerprints_agree,
    make_strategy,
    peers_needed,
)
from gansynth_tf.execution import StepFunction, replicas_meet
from gansynth_tf.experiment import Experiment, assignments, contradictions
from gansynth_tf.files import remove_temporaries
from gansynth_tf.interruption import Interruption
from gansynth_tf.model import GANSynth, ModelConfig, PitchVocabulary
from gansynth_tf.schedule import Stage
from gansynth_tf.variables import (
    first_non_finite,
    model_arrays,
    normalizer_numbers,
    restore_networks,
    restore_optimizers,
)
from gansynth_tf.wording import counted

CHECKPOINT_FOLDER = "checkpoints"
CACHE_FOLDER = "cache"
_LOWER_RATES = (
    "the same command would come to it again: give a lower --generator_learning_rate and "
    "--discriminator_learning_rate, and go back to an earlier checkpoint if that is not enough"
)


class NonFiniteLossError(Exception):
    """A loss term or a weight became infinite or not a number; the message names it."""


class _StopError(Exception):
    """A signal asks to stop where there is nothing to save yet."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of ``Trainer.run`` ended."""

    state: RunState
    finished: bool
    was_finished: bool = False
    signal: int | None = None


class Trainer:
    """One run folder and the experiment that is run in it."""

    def __init__(
        self,
        experiment: Experiment,
        run_dir: str | pathlib.Path,
        say: Callable[[str], object] = print,
    ):
        self.experiment = experiment
        self.run_dir = pathlib.Path(run_dir)
        self.cluster = find_cluster(experiment.distribution)
        self.say = say
        self.interruption = None
        self._holds_folder = False

    @contextlib.contextmanager
    def holding_folder(self) -> Iterator[None]:
        """Within it, no other trainer runs in the run folder. ``run`` asks for it by itself.

        Of several workers, the chief holds it for all.

        Raises:
          OSError: another one does.
        """
        if self._holds_folder or not self.cluster.is_chief:
            yield
            return
        with checkpoint.held(self.run_dir):
            self._holds_folder = True
            try:
                yield
            finally:
                self._holds_folder = False

    def run(self) -> Outcome:
        """Trains until the schedule ends, or a signal asks to stop.

        Raises:
          NonFiniteLossError: a loss term or weight is not finite; the last good checkpoint stays.
          CheckpointError: there are checkpoints, but none to go on from.
          DistributionError: the devices or workers cannot do it together.
          PeerLostError: another worker has ended.
          DataError: there are no notes to train on.
          ReadError: notes can be read no more; what was trained is saved.
          OSError: the run folder cannot be written, or another process trains in it.
        """
        with self.holding_folder():
            return self._run()

    def _run(self) -> Outcome:
        folder = self.run_dir / CHECKPOINT_FOLDER
        latest = checkpoint.load_latest(folder, warn=self.say)
        if latest:
            self._refuse_other_run(latest)
        if latest and self._is_finished(latest.state):
            return Outcome(latest.state, finished=True, was_finished=True)
        if self.cluster.is_chief:
            # Asked for before any work, so that a folder that cannot be written is no surprise.
            folder.mkdir(parents=True, exist_ok=True)
            self._remove_temporaries()
            self._folder = os.stat(self.run_dir)
        self.state = latest.state if latest else RunState()
        self._saved_images = self.state.images
        with peers_needed(self.cluster):
            self._set_up_devices()
        grace = self.experiment.run.grace_seconds
        self.interruption = Interruption(self.say, grace, self._nothing_is_lost)
        with self.interruption, contextlib.suppress(_StopError), peers_needed(self.cluster):
            self.peers = None
            if self.cluster.num_workers > 1:
                asked = self._is_asked_to_stop
                self.peers = PeerStop(self.strategy, self.cluster, asked, folder)
            self._train(latest)
            if self.peers is not None:
                self.peers.wait()  # for the chief, which may still be writing
        if not self._is_finished(self.state):
            # Where nobody signalled this worker, it stopped because another one was told to.
            received = self.interruption.received or signal.SIGTERM
            return Outcome(self.state, False, signal=received)
        self.say(f"Finished: {self.state.images:,} images in {self.state.seconds:.0f} s.")
        return Outcome(self.state, finished=True)

    def ask_to_stop(self) -> bool:
        """Asks as SIGTERM does; returns whether anything runs that could be asked."""
        if self.interruption is not None:
            self.interruption.ask()
        return self.interruption is not None

    def _nothing_is_lost(self) -> bool:
        return self.state.images == self._saved_images

    def _set_up_devices(self) -> None:
        """Before anything else of TensorFlow, which several workers ask for."""
        experiment, cluster = self.experiment, self.cluster
        limit = experiment.schedule.train_time_limit
        if cluster.num_workers > 1 and limit is not None:
            raise DistributionError(
                f"train_time_limit={limit:g} cannot be combined with several workers, each of which "
                f"has a clock of its own: give total_num_images in its place."
            )
        if cluster.num_workers > 1:
            self.say(f"Worker {cluster.index} of {cluster.num_workers}: waiting for the others.")
        self.strategy = make_strategy(experiment.distribution, cluster)
        check_batches(self.strategy, experiment.schedule.stages())
        if experiment.execution.jit_compile and replicas_meet(self.strategy):
            raise DistributionError(
                f"jit_compile cannot be combined with strategy={experiment.distribution.strategy}, "
                f"whose replicas meet in the midst of a step: give --strategy=one_device."
            )
        replicas = self.strategy.num_replicas_in_sync
        if replicas > 1:
            self.say(f"Training on {replicas} replicas of {cluster.num_workers} workers.")

    def _train(self, latest: checkpoint.Checkpoint | None) -> None:
        """Goes through the stages, to the last one's end or until a signal asks to stop."""
        self._prepare(latest)
        for stage in self.experiment.schedule.stages():
            if self._is_behind(stage):
                continue
            self._stop_if_alone()
            if not self._run_stage(stage, latest):
                return
            latest = None

    def _is_asked_to_stop(self) -> bool:
        return self.interruption.received is not None

    def _stop_if_asked(self, *_) -> None:
        """Ends ``_train`` if a signal came; also for use as a progress callback."""
        if self._is_asked_to_stop():
            raise _StopError

    def _stop_if_alone(self, *_) -> None:
        """As ``_stop_if_asked``; but several workers stop after a step that they agree on."""
        if self.peers is None:
            self._stop_if_asked()

    def _remove_temporaries(self) -> None:
        """Removes what a killed run left half-written."""
        remove_temporaries(self.run_dir / CHECKPOINT_FOLDER, checkpoint.TEMPORARY)
        remove_temporaries(self.run_dir, callbacks.LOG_FILE, "*.json")
        for folder in (self.run_dir / callbacks.SAMPLE_FOLDER).glob("stage_*"):
            remove_temporaries(folder, "*.wav", "*.png")

    def _refuse_other_run(self, latest: checkpoint.Checkpoint) -> None:
        with checkpoint.fitting(latest.path):
            before, now = latest.settings["values"], self.experiment.values
            names = contradictions(before, now)
            if names:
                raise CheckpointError(
                    f"{latest.path} cannot be used: it is of a run with "
                    f"{assignments(before, names)}, not {assignments(now, names)}."
                )
        stages = [stage.index for stage in self.experiment.schedule.stages()]
        if latest.state.stage not in stages:
            raise CheckpointError(
                f"{latest.path} cannot be used: it is of stage {latest.state.stage}, but this "
                f"run's stages are {stages[0]} to {stages[-1]}."
            )

    def _refuse_other_notes(self, latest: checkpoint.Checkpoint, vocabulary: PitchVocabulary):
        with checkpoint.fitting(latest.path):
            before = tuple(latest.settings["pitches"]), tuple(latest.settings["counts"])
        notes = latest.settings.get("notes", self.notes.fingerprint)  # older ones do not say it
        if notes is None:  # an import of which only the pitches are known
            self._refuse_other_pitches(latest, PitchVocabulary(*before), vocabulary)
            return
        if before == (vocabulary.pitches, vocabulary.counts) and notes != self.notes.fingerprint:
            raise CheckpointError(
                f"{latest.path} cannot be used: it was trained on other notes of the same pitches; "
                f"is train_data_path={self.experiment.data.train_data_path} the same data set?"
            )
        if before != (vocabulary.pitches, vocabulary.counts):
            raise CheckpointError(
                f"{latest.path} cannot be used: it was trained on {sum(before[1]):,} notes, and "
                f"these are {sum(vocabulary.counts):,}, or of other pitches; is "
                f"train_data_path={self.experiment.data.train_data_path} the same data set?"
            )

    def _refuse_other_pitches(
        self, latest: checkpoint.Checkpoint, before: PitchVocabulary, now: PitchVocabulary
    ) -> None:
        if before.pitches != now.pitches:
            raise CheckpointError(
                f"{latest.path} cannot be used: it knows MIDI pitches {before.describe()}, and these "
                f"notes have {now.describe()}; other notes are taken by --train_data_path, "
                f"--min_pitch and --max_pitch."
            )

    # --- Before the first step ---

    def _prepare(self, latest: checkpoint.Checkpoint | None) -> None:
        experiment = self.experiment
        self.notes = self._load_notes()
        vocabulary = PitchVocabulary.from_pitches(self.notes.pitches)
        self.labels = vocabulary.labels(self.notes.pitches)
        config = experiment.model_config(vocabulary)
        if latest:
            self._refuse_other_notes(latest, vocabulary)
            with checkpoint.fitting(latest.path):
                numbers = normalizer_numbers(config, latest.arrays)
        else:
            numbers = self._fit_normalizer(config)
        experiment.execution.set_up()
        if warning := experiment.execution.warning():
            self.say(warning)
        self._refuse_other_workers(latest)
        with self.strategy.scope():
            self.model = GANSynth(
                config,
                experiment.losses,
                experiment.optimizer,
                numbers,
                experiment.run.seed,
                experiment.execution.image_type,
                experiment.distribution.minibatch_stddev == "global",
            )
        if latest:
            with checkpoint.fitting(latest.path):
                restore_networks(self.model, latest.arrays)
            self.say(f"Going on from {latest.path.name}: {self.state.images:,} images.")
            strategy = latest.settings["values"].get("strategy", experiment.distribution.strategy)
            if strategy != experiment.distribution.strategy:
                self.say(
                    f"Trained with strategy={strategy} before, now with "
                    f"strategy={experiment.distribution.strategy}."
                )
            replicas = latest.settings.get("replicas", 1)
            if replicas != self.strategy.num_replicas_in_sync:
                self.say(
                    f"Trained on {counted(replicas, 'replica')} before, now on "
                    f"{counted(self.strategy.num_replicas_in_sync, 'replica')}."
                )
        self.settings = {
            "values": experiment.values,
            "pitches": list(vocabulary.pitches),
            "counts": list(vocabulary.counts),
            "notes": self.notes.fingerprint,
            "replicas": self.strategy.num_replicas_in_sync,
        }

    def _refuse_other_workers(self, latest: checkpoint.Checkpoint | None) -> None:
        """Workers that differ in flags, notes or checkpoint would train a model that is none."""
        if self.cluster.num_workers == 1:
            return
        own = {"train_data_path", "cache_dir"}  # may be other places with the same in them
        values = {name: v for name, v in self.experiment.values.items() if name not in own}
        state = (self.state.stage, self.state.images, self.state.steps, self.state.stage_done)
        known = (sorted(values.items()), self.notes.fingerprint, state, latest and latest.path.name)
        if not fingerprints_agree(self.strategy, self.cluster, repr(known)):
            raise DistributionError(
                f"The workers differ: worker {self.cluster.index} has "
                f"{latest.path.name if latest else 'no checkpoint'} in {self.run_dir}; all need the "
                f"same flags, the same notes, and a run folder that they share."
            )

    def _load_notes(self) -> Notes:
        experiment = self.experiment
        started, told = time.monotonic(), Every(5.0)

        def progress(done: int, total: int):
            self._stop_if_asked()
            if told.due(time.monotonic() - started):
                self.say(f"Notes: {done:,} of {total:,}")

        codec = experiment.codec
        notes = sources.load_notes(
            experiment.data, codec.sample_rate, codec.audio_length, progress, self.say
        )
        self.say(f"{len(notes):,} notes of data set {experiment.data.dataset_name!r}.")
        return notes

    def _fit_normalizer(self, config: ModelConfig) -> np.ndarray:
        normalizer = config.normalizer
        if not normalizer.is_fitted:
            return normalizer.prespecified()
        count = min(normalizer.normalizer_num_examples, len(self.notes))
        self.say(f"Fitting {normalizer.data_normalizer} on {count:,} notes.")
        chosen = pipeline.sample_notes(self.notes, count, self.experiment.run.seed)
        encode = config.codec.waves_to_specgrams
        return normalizer.fit(pipeline.encode_all(chosen, encode, self._stop_if_asked))

    # --- One stage ---

    def _run_stage(self, stage: Stage, latest: checkpoint.Checkpoint | None) -> bool:
        """Trains in ``stage``; returns whether it came to its end."""
        experiment, cadence = self.experiment, self.experiment.cadence
        resuming = latest is not None and latest.state.stage == stage.index
        self.state = dataclasses.replace(self.state, stage=stage.index, stage_done=False)
        with self.strategy.scope():
            self.model.begin_stage(stage)
        if resuming and not latest.state.stage_done:
            with checkpoint.fitting(latest.path):
                restore_optimizers(self.model, latest.arrays)
        unread: list[Exception] = []
        first_image, first_step = self.state.images, self.state.steps - self._stage_updates()

        def make_batches(share: pipeline.Share):
            return pipeline.stage_batches(
                self.notes,
                self.labels,
                self.model.encoder,
                stage,
                experiment.pipeline,
                experiment.run.seed,
                first_image,
                share=share,
                cache_folder=self._cache_folder(),
                progress=self._stop_if_asked,
                failed=unread.append,
            )

        batches = distribute_batches(self.strategy, make_batches)
        take_steps = StepFunction(self.model, self.strategy, experiment.execution)
        observe = callbacks.Observers if self.cluster.is_chief else callbacks.NoObservers
        observers = observe(
            experiment, self.run_dir, self.model, stage, self.say, self._stop_if_alone
        )
        observers.stage_begins(self.state)
        save_images = Every(cadence.checkpoint_num_images, self.state.images)
        save_seconds = Every(60 * cadence.checkpoint_minutes, self.state.seconds)
        sample_images = Every(cadence.save_summaries_num_images, self.state.images)
        started, seconds_before = None, self.state.seconds
        # A stage has ended before its first step where only its samples could not be written.
        while not self._stage_ended(stage):
            try:
                rows = take_steps(batches, self.state.steps, self._coming_fades(stage)).numpy()
            except tf.errors.OpError:
                if not unread:
                    raise
                self._save_steps_taken(stage, first_step)
                raise unread[0] from None
            # The first step traces the graph: that is not training, nor the clock's business.
            now = time.monotonic()
            started = now if started is None else started
            seconds = seconds_before + (now - started)
            done = []
            for row in rows.tolist():
                terms = dict(zip(take_steps.terms, row, strict=True))
                self._refuse_non_finite(terms)
                images, steps = self.state.images + stage.batch_size, self.state.steps + 1
                self.state = RunState(stage.index, images, steps, seconds)
                done.append((self.state, terms))
            with self._saved_at_least():
                for state, terms in done:
                    observers.step_done(state, terms, is_last=state is self.state)
            if self._stage_ended(stage):
                break
            # What belongs to a step comes before the step's checkpoint: a run that dies in
            # between goes on from the checkpoint before, and makes it again.
            if sample_images.due(self.state.images):
                with self._saved_at_least():
                    observers.samples(self.state, self._sample_fade(stage))
            if self._all_stop():
                with self._saved_at_least():
                    observers.close()
                self._save()
                return False
            if any([save_images.due(self.state.images), save_seconds.due(self.state.seconds)]):
                self._save()
        self._finite_arrays()  # refused before samples are drawn with them
        with self._saved_at_least():
            observers.samples(self.state, self._sample_fade(stage))
            observers.close()
        self.state = dataclasses.replace(self.state, stage_done=True)
        self._save()
        return True

    def _cache_folder(self) -> pathlib.Path:
        """Of --cache=disk; each worker has its own, for they may share the run folder's disk."""
        index = self.cluster.index
        return self.run_dir / (f"{CACHE_FOLDER}_{index}" if index else CACHE_FOLDER)

    def _all_stop(self) -> bool:
        """Whether to stop after this step; all workers do so after the same one."""
        if self.peers is not None:
            return self.peers.stop_now()
        return self._is_asked_to_stop()

    @contextlib.contextmanager
    def _saved_at_least(self) -> Iterator[None]:
        """Within it, what fails to be shown costs no training: it is saved first.

        At a stage's end it is saved as a stage whose samples are still to be made.
        """
        self._refuse_lost_folder()
        try:
            yield
        except Exception:
            self._save()
            raise

    def _stage_updates(self) -> int:
        return int(self.model.discriminator_optimizer.iterations.numpy())

    def _save_steps_taken(self, stage: Stage, first_step: int) -> None:
        """Saves after an execution that ended at a batch that cannot be read, between two steps."""
        taken = first_step + self._stage_updates() - self.state.steps
        images = self.state.images + taken * stage.batch_size
        self.state = dataclasses.replace(self.state, images=images, steps=self.state.steps + taken)
        if images:
            self._save()

    def _fade(self, stage: Stage, steps_ahead: int = 0) -> np.float32:
        images = self.state.images + steps_ahead * stage.batch_size
        return np.float32(self.experiment.schedule.fade(stage, images, self.state.seconds))

    def _coming_fades(self, stage: Stage) -> list[np.float32]:
        """The fade of every step of the next execution, none of which is beyond the stage."""
        count = self.experiment.execution.steps_per_execution
        if self.experiment.schedule.train_time_limit is None:
            images_left = stage.end_image - self.state.images
            count = min(count, -(-images_left // stage.batch_size))
        return [self._fade(stage, steps) for steps in range(count)]

    def _sample_fade(self, stage: Stage):
        return self._fade(stage) if stage.is_transition else None

    def _stage_ended(self, stage: Stage) -> bool:
        return self.experiment.schedule.is_over(stage, self.state.images, self.state.seconds)

    def _is_behind(self, stage: Stage) -> bool:
        """Whether nothing of the stage is left to do, its samples included."""
        if stage.index == self.state.stage:
            return self.state.stage_done
        return stage.index < self.state.stage or self._stage_ended(stage)

    def _is_finished(self, state: RunState) -> bool:
        self.state = state
        return state.stage_done and self._stage_ended(self.experiment.schedule.stages()[-1])

    def _refuse_non_finite(self, terms: dict) -> None:
        bad = [name for name, value in terms.items() if not np.isfinite(value)]
        if bad:
            raise NonFiniteLossError(
                f"{bad[0]} is {terms[bad[0]]} in step {self.state.steps} "
                f"({self.state.images:,} images): {_LOWER_RATES}; {self._what_is_kept()}"
            )

    def _finite_arrays(self) -> dict:
        """The model's arrays; refuses NaN and infinity, which losses show one step later."""
        arrays = model_arrays(self.model)
        bad = first_non_finite(arrays)
        if bad is not None:
            raise NonFiniteLossError(
                f"{bad} holds NaN or infinity after step {self.state.steps - 1} "
                f"({self.state.images:,} images), and is not saved: {_LOWER_RATES}; "
                f"{self._what_is_kept()}"
            )
        return arrays

    def _what_is_kept(self) -> str:
        kept = checkpoint.list_checkpoints(self.run_dir / CHECKPOINT_FOLDER)
        if not kept:
            return "there is no checkpoint yet."
        return f"the last checkpoint, {kept[-1].name}, is untouched."

    def _refuse_lost_folder(self) -> None:
        """Nothing is written where the run folder was; another run may have begun there."""
        if not self.cluster.is_chief:
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.stat(self.run_dir), self._folder):
                return
        raise OSError(
            f"{self.run_dir} was moved or deleted while the run in it went on: it ended, and nothing "
            f"was written there."
        )

    def _save(self) -> None:
        arrays = self._finite_arrays()
        if not self.cluster.is_chief:
            self._saved_images = self.state.images
            return
        self._refuse_lost_folder()
        path = checkpoint.save(
            self.run_dir / CHECKPOINT_FOLDER,
            arrays,
            self.state,
            self.settings,
            self.experiment.cadence.keep_checkpoints,
            self.say,
        )
        self._saved_images = self.state.images
        self.say(f"Saved {path.name}.")
