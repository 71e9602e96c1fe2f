"""Answers to the exercises of notebook 07."""

import cv2
import numpy as np
from answers import Exercise, solutions

from maskdepth_utils.course import widgets
from maskdepth_utils.inference.align import align


def setup(**changes):
    return widgets.Setup(**({"room": "room_test_003", "object": "test_015_chest", "distance": 2.6} | changes))


SMALL = np.zeros((80, 80, 3), np.uint8)


EXERCISES = {
    "check_distance": Exercise(
        right=[3.5, 3.8, np.float32(3.68)],
        wrong=[
            (3.4, "expected 45 to 55 %"),
            (3.9, "expected 45 to 55 %"),
            (2.6, "At 2.6 m: it covers 100% of what it covers"),
            (365, "expected metres from 0.5 to 20, found 365"),
        ],
    ),
    "check_break": Exercise(
        right=[solutions()["check_break"]],
        wrong=[
            (setup(), "IoU 0.9"),
            (setup(gloss=0.5), "my_setup, gloss: expected a number from 0 to 0, found 0.5"),
            (setup(noise="2"), "my_setup, noise: expected a number from 0 to 2, found '2'"),
            (setup(yaw=9), "no such scene can be made"),
            (setup(azimuth=60), "out of the picture"),
            (setup(room="room_test_999"), "room_test_999"),
            ({"room": "room_test_003"}, "expected a widgets.Setup, found a dict of 1"),
        ],
    ),
    "check_order": Exercise(
        right=[["light", "noise", "compression", "motion"], np.array(["light", "noise", "compression", "motion"])],
        wrong=[
            (["compression", "light", "noise", "motion"], "light comes after compression, but costs less"),
            (["noise", "light", "motion", "jpeg"], "found noise, light, motion, jpeg"),
        ],
    ),
    "check_cure": Exercise(
        right=[solutions()["check_cure"]],
        wrong=[
            (lambda p, image, background: p.predict(image, background), "Sofa, after the camera has moved: IoU 0."),
            (lambda p, image, background: p.predict(align(background, image).background, background), "IoU 0."),
            (lambda p, image, background: p.predict(image, cv2.blur(background, (9, 9))), "expected at least 0.80"),
            (lambda p, image, background: align(image, background), "expected a Prediction with a mask of (160, 160)"),
            (lambda p, image, background: p.predict(SMALL, SMALL), "(80, 80)"),
        ],
    ),
}
