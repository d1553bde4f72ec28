"""Whether the face is still the same person's: the distance of its descriptor from the real frame's.

Euclidean distance of dlib's 128 numbers for the face in the generated and in the real frame. The face (most certain
box, 68 landmarks) is detected in the **real** frame alone, and the same place of the generated frame is described,
whatever it shows: a ruined face cannot drop out. A real frame without a face is an error that names it. 0.6 is where
dlib's author draws the line between two people. Frames are enlarged first (`enlarge`): the detector finds no face
under 80 px.

*Needs*: the extra `faces`.

*Tolerance*: 0 for equal frames. Carphone's last 28 frames: blur of 0.5, 1, 2, 4 px 0.09, 0.29, 0.59, 0.74; noise of 6,
18, 54 levels 0.26, 0.55, 0.74; frozen 0.39. With `threshold: 0` its last frames have no face.

*Source*: King 2009 (dlib), dlib_face_recognition_resnet_model_v1.

*Cannot see*: time. The descriptor was trained on sharp photographs, so that blur weighs as much as a stranger. The
shape model is for research only.
"""

from functools import cache
from threading import Lock
from typing import Annotated

import cv2
import numpy as np
import torch

from v2vbench.download import weights as table
from v2vbench.metrics._pictures import pictures
from v2vbench.params import Count, Range

TITLE, UNIT, BETTER, HEADING = "identity", "", "lower", "fidelity"
PROTOCOL = "identity/1:dlib-resnet-v1:real-face:landmarks68:enlarge{enlarge}:threshold{threshold:g}:L2:mean-of-frames"
ONE_AT_A_TIME = Lock()  # clips are scored side by side, and dlib's networks keep what they see in themselves


def weights(*, enlarge: Count, threshold: Annotated[float, Range(-1, 1)]) -> tuple[str, ...]:
    """Names in v2vbench.download.weights.TABLE."""
    return ("dlib_faces",)


@cache
def _networks() -> tuple:
    """dlib's face detector, predictor of 68 landmarks and 128-number descriptor; Fault where they are missing."""
    folder = table.path("dlib_faces") / "models"
    import dlib

    return (
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat")),
        dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat")),
    )


def compute(
    fake: torch.Tensor, real: torch.Tensor, *, enlarge: Count, threshold: Annotated[float, Range(-1, 1)]
) -> torch.Tensor:
    """Distance of dlib's descriptors of the real frame's most certain face and of the same place in the generated one.

    The face is looked for in the real frame alone, so that a ruined one cannot drop out: it is described as it is.
    fake, real    (T, 3, H, W) in [-1, 1]
    enlarge       times, before anything is looked for; the detector knows no face under 80 px
    threshold     of the detector's certainty; its own is 0, below it finds more
    returns       (T,); 0.6 is where dlib's author draws the line between two people
    raises        ValueError naming a real frame without a face, or values that are not finite; Fault where dlib is
                  missing
    source        King 2009 (dlib), dlib_face_recognition_resnet_model_v1
    """
    pairs = zip(pictures(fake, at_least=1), pictures(real, at_least=1))
    with ONE_AT_A_TIME:
        values = [_apart(t, *pair, enlarge, threshold) for t, pair in enumerate(pairs)]
    return torch.tensor(np.array(values))


def _apart(t: int, made: np.ndarray, true: np.ndarray, enlarge: int, threshold: float) -> float:
    detect, predict, describe = _networks()
    made, true = (
        cv2.resize(frame, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC) for frame in (made, true)
    )
    faces, certainty, _ = detect.run(true, 0, threshold)
    if not faces:
        raise ValueError(f"no face in real frame {t}; lower the threshold, {threshold:g}, or raise enlarge, {enlarge}")
    place = predict(true, faces[int(np.argmax(certainty))])
    return np.linalg.norm(np.subtract(*(describe.compute_face_descriptor(frame, place) for frame in (made, true))))
