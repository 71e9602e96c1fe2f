"""Wrong answers to the exercises of notebook 07: {check: [(answer, words of the verdict), ...]}."""

import cv2
import numpy as np

from maskdepth_utils.course import widgets
from maskdepth_utils.inference.align import align


def setup(**changes):
    return widgets.Setup(**({"room": "room_test_003", "object": "test_015_chest", "distance": 2.6} | changes))


SMALL = np.zeros((80, 80, 3), np.uint8)
WRONG = {
    "check_distance": [
        (5.2, "expected 50 %, give or take 5 %"),
        (2.6, "At 2.6 m: it covers 100% of what it covers"),
        (365, "expected metres from 0.5 to 20, found 365"),
    ],
    "check_break": [
        (setup(), "IoU 0.9"),
        (setup(gloss=0.5), "expected gloss from 0 to 0, found 0.5"),
        (setup(azimuth=60), "out of the picture"),
        (setup(room="room_test_999"), "room_test_999"),
        ({"room": "room_test_003"}, "expected a widgets.Setup, found an object of type dict"),
    ],
    "check_order": [
        (["compression", "light", "motion", "noise"], "light comes after compression, but costs less"),
        (["noise", "motion", "light", "compression"], "light comes after motion, but costs less"),
        (["noise", "light", "motion", "jpeg"], "found noise, light, motion, jpeg"),
    ],
    "check_cure": [
        (lambda p, image, background: p.predict(image, background), "Sofa, after the camera has moved: IoU 0."),
        (lambda p, image, background: p.predict(align(background, image).background, background), "IoU 0."),
        (lambda p, image, background: p.predict(image, cv2.blur(background, (9, 9))), "expected at least 0.80"),
        (lambda p, image, background: align(image, background), "expected a Prediction with a mask of (160, 160)"),
        (lambda p, image, background: p.predict(SMALL, SMALL), "(80, 80)"),
    ],
}
